package article

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

type client interface {
	grpc.ClientConnInterface
	Close() error
}

// The code that the document shows runs here, server against client.
func TestArticle(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pipe := testproc.PipeName()
	stops, done := make(chan func(), 1), make(chan error, 1)
	for _, serve := range []func() error{
		func() error { return Serve(ctx, pipe, func(s *grpc.Server) { stops <- s.GracefulStop }) },
		func() error { return ServeFast(ctx, pipe, func(s *fastgrpc.Server) { stops <- s.GracefulStop }) },
	} {
		go func() { done <- serve() }()
		stop := <-stops
		for _, newClient := range []func() (client, error){
			func() (client, error) { return NewClient(pipe) },
			func() (client, error) { return NewPingingClient(pipe) },
			func() (client, error) { return NewFastClient(pipe) },
		} {
			conn, err := newClient()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := Greet(ctx, conn); err != nil || got != "Hello World" {
				t.Errorf("got %q, %v", got, err)
			}
			conn.Close()
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	lis, err := ListenForEveryone(ctx, pipe)
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
}
