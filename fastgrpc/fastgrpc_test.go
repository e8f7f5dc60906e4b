package fastgrpc_test

import (
	"testing"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// newServer returns a server with all that the interop cases need.
func newServer(t *testing.T) *fastgrpc.Server {
	t.Helper()
	return engine.Fast.NewTestServer(fastgrpc.ServerConfig{}).(*fastgrpc.Server)
}

func newClient(t *testing.T, pipe string) *fastgrpc.ClientConn {
	t.Helper()
	cc, err := fastgrpc.NewClient(pipe, fastgrpc.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

func TestInterop(t *testing.T) {
	for _, pair := range [][2]engine.Engine{{engine.Fast, engine.Fast}, {engine.Fast, engine.GRPC}, {engine.GRPC, engine.Fast}} {
		client, server := pair[0], pair[1]
		t.Run(client.Name+" to "+server.Name, func(t *testing.T) {
			pipe := testproc.PipeName()
			lis, err := namedpipe.Listen(t.Context(), pipe)
			if err != nil {
				t.Fatal(err)
			}
			s := server.NewTestServer(fastgrpc.ServerConfig{})
			t.Cleanup(s.Stop)
			go s.Serve(lis)
			target, cc, err := client.NewTarget(pipe, fastgrpc.ClientConfig{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cc.Close() })
			interoptest.Test(t, target, leftOut(server.Name, client.Name))
		})
	}
}

// leftOut names the cases that a pairing can't do, and why.
func leftOut(server, client string) map[string]string {
	out := map[string]string{}
	if server == "fastgrpc" {
		out["server_compressed_streaming"] = "grpc.PreparedMsg is encoded by grpc-go's own streams only"
	}
	if client == "fastgrpc" {
		out["client_compressed_streaming"] = "grpc.PreparedMsg is encoded by grpc-go's own streams only"
	}
	return out
}
