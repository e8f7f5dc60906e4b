package interop_test

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Go's client against Go's server, every case: both of one implementation, and
// each server with a client of the other one.
func TestGoToGo(t *testing.T) {
	for _, server := range engine.All {
		for _, client := range engine.All {
			for _, v := range []variant{{name: "plain"}, {name: "tls", tls: true}} {
				if client.Name != server.Name {
					v.name = "other-" + v.name
				}
				t.Run(server.Name+"/"+v.name, func(t *testing.T) {
					mark := seen.RowOf(t, "go-go-"+v.name, server.Name)
					pipe := testproc.PipeName()
					s := server.NewTestServer(serverConfig(t, v))
					t.Cleanup(s.Stop)
					serve(t, s, pipe)
					target, _ := newTarget(t, client, pipe, v)
					mark.Say("%d of %d", interoptest.Test(t, target, nil), len(interoptest.Cases()))
				})
			}
		}
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
	test := func(name string, e engine.Engine, newServer func() engine.Server, ours bool) {
		t.Run(name+"/"+e.Name, func(t *testing.T) {
			mark := seen.RowOf(t, "plain-grpc-"+name, e.Name)
			pipe := testproc.PipeName()
			s := newServer()
			t.Cleanup(s.Stop)
			serve(t, s, pipe)
			target, _ := newTarget(t, e, pipe, variant{})
			if !ours {
				target.Dial = plain(pipe)
				cc, err := target.Dial()
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { cc.Close() })
				target.Conn = cc
			}
			mark.Say("%d of %d", interoptest.Test(t, target, nil), len(interoptest.Cases()))
		})
	}
	plainServer := func() engine.Server { return interoptest.NewServer() }
	test("both", engine.GRPC, plainServer, false)
	for _, e := range engine.All {
		test("client", e, func() engine.Server { return e.NewTestServer(fastgrpc.ServerConfig{}) }, false)
		test("server", e, plainServer, true)
	}
}
