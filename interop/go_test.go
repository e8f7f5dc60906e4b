package interop_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Go's client against Go's server, every case.
func TestGoToGo(t *testing.T) {
	for _, v := range []variant{{name: "plain"}, {name: "tls", tls: true}} {
		t.Run(v.name, func(t *testing.T) {
			mark := seen.Row(t, "go-go-"+v.name)
			pipe := testproc.PipeName()
			s := interoptest.NewServer(serverOptions(t, v)...)
			t.Cleanup(s.Stop)
			serve(t, s, pipe)
			target, _ := newTarget(t, pipe, v)
			mark.Say("%d of %d", interoptest.Test(t, target, nil), len(interoptest.Cases()))
		})
	}
}

// grpc-go with nothing of ours but the listener and the dialer, and mixed with
// our side at either end.
func TestPlainGRPC(t *testing.T) {
	plain := func(pipe string) func(...stats.Handler) (interoptest.Conn, error) {
		return func(watch ...stats.Handler) (interoptest.Conn, error) {
			opts := []grpc.DialOption{
				grpc.WithTransportCredentials(insecure.NewCredentials()),
				grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return namedpipe.Dial(ctx, pipe) }),
			}
			for _, h := range watch {
				opts = append(opts, grpc.WithStatsHandler(h))
			}
			return grpc.NewClient("passthrough:///localhost", opts...)
		}
	}
	for _, tt := range []struct {
		name   string
		server []grpc.ServerOption
		ours   bool // the client is ours
	}{
		{name: "both"},
		{name: "client", server: serverOptions(t, variant{})},
		{name: "server", ours: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mark := seen.Row(t, "plain-grpc-"+tt.name)
			pipe := testproc.PipeName()
			s := interoptest.NewServer(tt.server...)
			t.Cleanup(s.Stop)
			serve(t, s, pipe)
			target, _ := newTarget(t, pipe, variant{})
			if !tt.ours {
				target.Dial = plain(pipe)
				cc, err := target.Dial()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { cc.Close() })
				target.Conn = cc
			}
			target.Iterations = soak.N(1000)
			mark.Say("%d of %d", interoptest.Test(t, target, nil), len(interoptest.Cases()))
		})
	}
}
