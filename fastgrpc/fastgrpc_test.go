package fastgrpc_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/interop/grpc_testing"

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
			interoptest.Test(t, target, nil)
		})
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// serve serves on the pipe until the test ends.
func serve(t testing.TB, pipe string, s interface {
	Serve(net.Listener) error
	Stop()
}) *namedpipe.Listener {
	t.Helper()
	lis, err := namedpipe.Listen(context.Background(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); s.Serve(lis) }()
	t.Cleanup(func() { s.Stop(); <-done })
	return lis
}

func newClient(t testing.TB, pipe string) *fastgrpc.ClientConn {
	return newClientWith(t, pipe, fastgrpc.ClientConfig{})
}

func newClientWith(t testing.TB, target string, cfg fastgrpc.ClientConfig) *fastgrpc.ClientConn {
	t.Helper()
	cc, err := fastgrpc.NewClient(target, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

func mustCall(ctx context.Context, t testing.TB, cc grpc.ClientConnInterface, opts ...grpc.CallOption) {
	t.Helper()
	if _, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, opts...); err != nil {
		t.Fatal(err)
	}
}

// waitState waits until the client is in the state.
func waitState(ctx context.Context, t testing.TB, cc *fastgrpc.ClientConn, want connectivity.State) {
	t.Helper()
	for now := cc.GetState(); now != want; now = cc.GetState() {
		if !cc.WaitForStateChange(ctx, now) {
			t.Fatalf("the client is %v, not %v", now, want)
		}
	}
}

// wantText fails unless the error has all the texts.
func wantText(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error without %q:\n%v", text, err)
		}
	}
}
