package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, map[string]func(){"client": main}) }

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Good day " + in.GetName()}, nil
}

func TestClientIsGreetedByAnotherProcess(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pipe := testproc.PipeName()
	lis, err := namedpipe.Listen(ctx, pipe)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer(grpcpipe.ServerOptions()...)
	greetpb.RegisterGreeterServer(server, greeter{})
	go server.Serve(lis) // ends with Stop
	defer server.Stop()

	p := start(t, ctx, "-pipe", pipe, "-name", "Ada")
	if err := p.Wait(ctx); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.TrimSpace(p.Stdout()), "Good day Ada"; got != want {
		t.Errorf("the client printed %q, want %q", got, want)
	}
}

func TestClientWithoutServerNamesThePipe(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pipe := testproc.PipeName()
	p := start(t, ctx, "-pipe", pipe)
	if err := p.Wait(ctx); err == nil {
		t.Error("the client succeeded without a server")
	}
	if got := p.Stderr(); !strings.Contains(got, pipe) {
		t.Errorf("the error does not name the pipe %s: %s", pipe, got)
	}
}

func start(t *testing.T, ctx context.Context, args ...string) *testproc.Process {
	t.Helper()
	cmd, err := testproc.Self(ctx, "client", args...)
	if err != nil {
		t.Fatal(err)
	}
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
