package fastgrpc_test

import (
	"math"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// newServer returns a server with all that the interop cases need.
func newServer(t *testing.T) *fastgrpc.Server {
	t.Helper()
	s := fastgrpc.NewServer(fastgrpc.ServerConfig{MaxRecvMessage: interoptest.MaxMessage, MaxSendMessage: math.MaxInt32, StatsHandlers: []stats.Handler{interoptest.CompressionStats()}})
	interoptest.Register(s)
	h := health.NewServer()
	for name := range s.GetServiceInfo() {
		h.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(s, h)
	reflection.Register(s)
	return s
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
	for _, server := range []string{"fastgrpc", "grpc-go"} {
		for _, client := range []string{"fastgrpc", "grpc-go"} {
			if server == client && server == "grpc-go" {
				continue
			}
			t.Run(client+" to "+server, func(t *testing.T) {
				pipe := testproc.PipeName()
				lis, err := namedpipe.Listen(t.Context(), pipe)
				if err != nil {
					t.Fatal(err)
				}
				if server == "fastgrpc" {
					s := newServer(t)
					go s.Serve(lis)
					t.Cleanup(s.Stop)
				} else {
					s := interoptest.NewServer(grpcpipe.ServerOptions()...)
					go s.Serve(lis)
					t.Cleanup(s.Stop)
				}
				dial := func(opts ...grpc.DialOption) (*grpc.ClientConn, error) { return grpcpipe.NewClient(pipe, opts...) }
				target := interoptest.Target{Dial: dial, Iterations: 100}
				if client == "fastgrpc" {
					target.Conn = newClient(t, pipe)
				} else {
					cc, err := dial()
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { cc.Close() })
					target.Conn = cc
				}
				interoptest.Test(t, target, leftOut(server, client))
			})
		}
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
