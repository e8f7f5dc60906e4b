// Package plugin is a host whose plug-ins are separate processes, in any language:
// the folders node, python and csharp have one each, and [Child] is one in Go.
package plugin

import (
	"context"
	"fmt"
	"os/exec"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/child"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
)

// snippet: host

// Ask starts a plug-in, gets a greeting from it, and stops it.
func Ask(ctx context.Context, cfg child.Config, cmd *exec.Cmd, name string) (string, error) {
	p, err := cfg.Start(ctx, cmd)
	if err != nil {
		return "", err // if the plug-in exited, its last lines are in the error
	}
	reply, err := greetpb.NewGreeterClient(p.Conn()).SayHello(ctx, &greetpb.HelloRequest{Name: name})
	if cerr := p.Close(); err == nil {
		err = cerr
	}
	return reply.GetMessage(), err
}

// end snippet

// snippet: child

// Child is the main function of a plug-in.
func Child(ctx context.Context) error {
	lis, err := child.Listen(ctx)
	if err != nil {
		return err // child.ErrNoParent if no parent started this program
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	lis.Register(srv, child.Info{Version: "1.0.0"})
	greetpb.RegisterGreeterServer(srv, greeter{lis: lis})
	context.AfterFunc(lis.Context(), srv.GracefulStop)
	return srv.Serve(lis)
}

// end snippet

type greeter struct {
	greetpb.UnimplementedGreeterServer
	lis *child.Listener
}

func (g greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	parent, _ := g.lis.ParentInfo()
	return &greetpb.HelloReply{Message: fmt.Sprintf("Hello %s from Go, dear %s", in.Name, parent.Version)}, nil
}
