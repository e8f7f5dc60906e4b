package main

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m, map[string]func(){"server": main}) }

func TestServerGreetsAnotherProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pipe := testproc.PipeName()
	cmd, err := testproc.Self(ctx, "server", "-pipe", pipe)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := testproc.Start(t, cmd); err != nil {
		t.Fatal(err)
	}
	conn, err := grpcpipe.NewClient(pipe, grpc.WithDefaultCallOptions(grpc.WaitForReady(true)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	reply, err := greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: "World"})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reply.GetMessage(), "Hello World"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
