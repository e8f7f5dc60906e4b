package policy_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
	"github.com/grpcpipe/grpcpipe/policy"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// testContext ends with the test or after 30 s.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// echo answers calls and echoes streams.
type echo struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (echo) EmptyCall(context.Context, *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	return &grpc_testing.Empty{}, nil
}

func (echo) UnaryCall(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	return &grpc_testing.SimpleResponse{}, nil
}

func (echo) FullDuplexCall(stream grpc_testing.TestService_FullDuplexCallServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		if err := stream.Send(&grpc_testing.StreamingOutputCallResponse{Payload: req.GetPayload()}); err != nil {
			return err
		}
	}
}

// serve starts a server of the engine, with the policy and then the interceptors,
// which ends with the test, and returns a client of the same engine.
func serve(t testing.TB, e engine.Engine, svc grpc_testing.TestServiceServer, guard *policy.Policy, more ...grpc.StreamServerInterceptor) engine.Conn {
	t.Helper()
	lis, err := namedpipe.Listen(context.Background(), testproc.PipeName())
	if err != nil {
		t.Fatal(err)
	}
	var srv engine.Server
	if e.Name == engine.GRPC.Name {
		opts := append(grpcpipe.ServerOptions(), guard.ServerOptions()...)
		srv = grpc.NewServer(append(opts, grpc.ChainStreamInterceptor(more...))...)
	} else {
		srv = e.NewServer(fastgrpc.ServerConfig{
			UnaryInterceptors:  []grpc.UnaryServerInterceptor{guard.UnaryInterceptor()},
			StreamInterceptors: append([]grpc.StreamServerInterceptor{guard.StreamInterceptor()}, more...),
		})
	}
	grpc_testing.RegisterTestServiceServer(srv, svc)
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(lis) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	cc, err := e.NewClient("npipe:"+lis.Addr().String(), fastgrpc.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
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
