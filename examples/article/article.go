// Package article is Microsoft's article "Inter-process communication with gRPC
// and Named pipes" in Go, snippet by snippet. docs/from-dotnet.md shows these
// functions next to the C#.
package article

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// snippet: service
type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Hello " + in.GetName()}, nil
}

// end snippet

// Serve serves the greeter until the server is stopped.
func Serve(ctx context.Context, name string, started func(*grpc.Server)) error {
	// snippet: server
	lis, err := namedpipe.Listen(ctx, name)
	if err != nil {
		return err
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	greetpb.RegisterGreeterServer(srv, greeter{})
	// end snippet
	started(srv)
	return srv.Serve(lis)
}

// ListenForEveryone listens for other users too.
func ListenForEveryone(ctx context.Context, name string) (*namedpipe.Listener, error) {
	// snippet: everyone
	lc := namedpipe.ListenConfig{
		Access: namedpipe.Access{Who: namedpipe.Everyone},
	}
	return lc.Listen(ctx, name)
	// end snippet
}

// NewClient returns the article's channel.
func NewClient(name string) (*grpc.ClientConn, error) {
	// snippet: client
	return grpcpipe.NewClient("npipe:"+name,
		grpc.WithDefaultCallOptions(
			grpc.MaxCallRecvMsgSize(64<<20),
			grpc.MaxCallSendMsgSize(64<<20),
		))
	// end snippet
}

// NewPingingClient returns a channel that notices a server that no longer responds.
func NewPingingClient(name string) (*grpc.ClientConn, error) {
	// snippet: keepalive
	return grpcpipe.NewClient("npipe:"+name,
		grpc.WithKeepaliveParams(keepalive.ClientParameters{
			Time:                time.Minute,
			Timeout:             10 * time.Second,
			PermitWithoutStream: true,
		}))
	// end snippet
}

// Greet makes the article's call.
func Greet(ctx context.Context, conn grpc.ClientConnInterface) (string, error) {
	// snippet: call
	reply, err := greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: "World"})
	// end snippet
	return reply.GetMessage(), err
}
