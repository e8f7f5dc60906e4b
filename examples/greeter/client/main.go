// Command client is greeted by a server over a named pipe.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"time"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
)

func main() {
	pipe := flag.String("pipe", "MyPipe", "name of the pipe")
	name := flag.String("name", "World", "name to greet")
	flag.Parse()

	conn, err := grpcpipe.NewClient(*pipe)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	reply, err := greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: *name})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(reply.GetMessage())
}
