package quickstart

import (
	"context"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// Both servers serve both clients.
func TestQuickstart(t *testing.T) {
	for name, serve := range map[string]func(context.Context) error{"grpc-go": Serve, "fastgrpc": ServeFast} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
			defer stop()
			served := make(chan error, 1)
			go func() { served <- serve(ctx) }()
			for client, greet := range map[string]func(context.Context) (*greetpb.HelloReply, error){"grpc-go": Greet, "fastgrpc": GreetFast} {
				reply, err := greet(ctx)
				if err != nil || reply.GetMessage() != "Hello World" {
					t.Errorf("client of %s: %v, %v", client, reply, err)
				}
			}
			stop()
			if err := <-served; err != nil {
				t.Errorf("Serve: %v", err)
			}
		})
	}
}
