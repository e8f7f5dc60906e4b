// Command server greets whoever calls it over a named pipe.
package main

import (
	"context"
	"flag"
	"log"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Hello " + in.GetName()}, nil
}

func main() {
	pipe := flag.String("pipe", "MyPipe", "name of the pipe")
	flag.Parse()

	lis, err := namedpipe.Listen(context.Background(), *pipe)
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpcpipe.ServerOptions()...)
	greetpb.RegisterGreeterServer(server, greeter{})
	log.Printf("listening on %s", lis.Addr())
	log.Fatal(server.Serve(lis))
}
