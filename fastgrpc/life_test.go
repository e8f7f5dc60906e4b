package fastgrpc_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// TestServerEndsConnections: at an age or when idle the server closes connections
// in order, and no call notices but one that outlives the grace.
func TestServerEndsConnections(t *testing.T) {
	t.Parallel()
	const short = 100 * time.Millisecond
	for name, tt := range map[string]struct {
		keep keepalive.ServerParameters
		hold bool // a call that doesn't end
		cut  bool // which is cut
	}{
		"age":               {keepalive.ServerParameters{MaxConnectionAge: short}, false, false},
		"idle":              {keepalive.ServerParameters{MaxConnectionIdle: short}, false, false},
		"age with a call":   {keepalive.ServerParameters{MaxConnectionAge: short}, true, false},
		"age without grace": {keepalive.ServerParameters{MaxConnectionAge: short, MaxConnectionAgeGrace: short}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, pipe := testContext(t), testproc.PipeName()
			s := fastgrpc.NewServer(fastgrpc.ServerConfig{KeepAlive: tt.keep})
			grpc_testing.RegisterTestServiceServer(s, &service{full: func(st grpc.BidiStreamingServer[grpc_testing.StreamingOutputCallRequest, grpc_testing.StreamingOutputCallResponse]) error {
				for {
					if _, err := st.Recv(); err != nil {
						return nil
					}
					st.Send(&grpc_testing.StreamingOutputCallResponse{})
				}
			}, unary: echoUnary})
			serve(t, pipe, s)
			cc := newClient(t, pipe)
			unaryCall(ctx, t, cc)
			stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx)
			if err != nil {
				t.Fatal(err)
			}
			echo := func() error {
				if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{}); err != nil {
					return err
				}
				_, err := stream.Recv()
				return err
			}
			if err := echo(); err != nil {
				t.Fatal(err)
			}
			if !tt.hold {
				stream.CloseSend()
			}
			waitState(ctx, t, cc, connectivity.Idle)
			if tt.cut {
				if _, err := stream.Recv(); err == nil {
					t.Error("the call outlived the grace")
				}
			} else if tt.hold {
				if err := echo(); err != nil {
					t.Errorf("the call under way: %v", err)
				}
			}
			unaryCall(ctx, t, cc) // on another connection
		})
	}
}

func unaryCall(ctx context.Context, t *testing.T, cc grpc.ClientConnInterface) {
	t.Helper()
	if _, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil {
		t.Error(err)
	}
}
