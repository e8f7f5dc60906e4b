package quickstart

import (
	"context"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// ServeFast is Serve on package fastgrpc.
func ServeFast(ctx context.Context) error {
	lis, err := namedpipe.Listen(ctx, "MyPipe")
	if err != nil {
		return err
	}
	// snippet: fast-server
	srv := fastgrpc.NewServer(fastgrpc.ServerConfig{}) // was grpc.NewServer(grpcpipe.ServerOptions()...)
	// end snippet
	greetpb.RegisterGreeterServer(srv, greeter{})
	context.AfterFunc(ctx, srv.GracefulStop)
	return srv.Serve(lis)
}

// GreetFast is Greet on package fastgrpc.
func GreetFast(ctx context.Context) (*greetpb.HelloReply, error) {
	// snippet: fast-client
	conn, err := fastgrpc.NewClient("npipe:MyPipe", fastgrpc.ClientConfig{}) // was grpcpipe.NewClient("npipe:MyPipe")
	// end snippet
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: "World"}, grpc.WaitForReady(true))
}
