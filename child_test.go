package grpcpipe_test

import (
	"context"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// serveAsChild is the test binary as a server process. It ends when its standard
// input does, so that it doesn't outlive the test.
func serveAsChild(name string) int {
	lis, err := namedpipe.Listen(context.Background(), name)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	grpc_testing.RegisterTestServiceServer(srv, &service{name: name, unary: waitIfAsked})
	go func() {
		os.Stdin.Read(make([]byte, 1))
		os.Exit(0)
	}()
	fmt.Println("listening")
	if err := srv.Serve(lis); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// waitIfAsked answers at once, or never if the request has a payload.
func waitIfAsked(ctx context.Context, req *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	if req.GetPayload() != nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &grpc_testing.SimpleResponse{}, nil
}
