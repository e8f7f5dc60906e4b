package quickstart

import (
	"context"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

func TestQuickstart(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- Serve(ctx) }()
	reply, err := Greet(ctx)
	if err != nil || reply.GetMessage() != "Hello World" {
		t.Errorf("%v, %v", reply, err)
	}
	stop()
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
}
