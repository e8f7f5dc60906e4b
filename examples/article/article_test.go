package article

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// What the document shows is run, the one with the other.
func TestArticle(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	pipe := testproc.PipeName()
	started := make(chan *grpc.Server, 1)
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, pipe, func(s *grpc.Server) { started <- s }) }()
	srv := <-started
	for _, newClient := range []func(string) (*grpc.ClientConn, error){NewClient, NewPingingClient} {
		conn, err := newClient(pipe)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Greet(ctx, conn); err != nil || got != "Hello World" {
			t.Errorf("got %q, %v", got, err)
		}
		conn.Close()
	}
	srv.GracefulStop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	lis, err := ListenForEveryone(ctx, pipe)
	if err != nil {
		t.Fatal(err)
	}
	lis.Close()
}
