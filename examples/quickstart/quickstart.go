// Package quickstart is the README's server and client.
package quickstart

import (
	"context"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Hello " + in.Name}, nil
}

// snippet: server

// Serve serves until ctx ends.
func Serve(ctx context.Context) error {
	lis, err := namedpipe.Listen(ctx, "MyPipe")
	if err != nil {
		return err
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	greetpb.RegisterGreeterServer(srv, greeter{})
	context.AfterFunc(ctx, srv.GracefulStop)
	return srv.Serve(lis)
}

// end snippet

// Greet calls the server. It waits for the server to come up.
func Greet(ctx context.Context) (*greetpb.HelloReply, error) {
	// snippet: client
	conn, err := grpcpipe.NewClient("npipe:MyPipe")
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: "World"}, grpc.WaitForReady(true))
	// end snippet
}
