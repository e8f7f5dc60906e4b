package interoptest_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// serve serves s on a pipe of its own until the test ends, and returns a
// client of it.
func serve(t *testing.T, s *grpc.Server) interoptest.Target {
	t.Helper()
	pipe := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(lis) // ends with Stop
	t.Cleanup(s.Stop)
	target, conn, err := engine.GRPC.NewTarget(pipe, fastgrpc.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	target.Iterations = soak.N(1000)
	return target
}

func TestGoToGo(t *testing.T) {
	interoptest.Test(t, serve(t, interoptest.NewServer(grpcpipe.ServerOptions()...)), nil)
}

// liar is a server that answers every call, and wrongly.
type liar struct {
	testpb.UnimplementedTestServiceServer
}

func (liar) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

func (liar) UnaryCall(_ context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, in.GetResponseSize()+1)}}, nil
}

func (liar) StreamingInputCall(s grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	return s.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: 1})
}

func (liar) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, s grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return s.Send(&testpb.StreamingOutputCallResponse{})
}

func (liar) FullDuplexCall(s grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return s.Send(&testpb.StreamingOutputCallResponse{})
}

func (liar) UnimplementedCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

// A case that a server which gets everything wrong passes proves nothing.
func TestCasesCanFail(t *testing.T) {
	s := grpc.NewServer(grpc.MaxRecvMsgSize(2 * interoptest.MaxMessage))
	testpb.RegisterTestServiceServer(s, liar{})
	target := serve(t, s)
	// What the liar can't get wrong: it is the client that cancels, and grpc-go
	// that answers for a service which isn't there, with an empty message.
	right := map[string]bool{
		"empty_unary": true, "cancel_after_begin": true,
		"response_over_limit": true, "unimplemented_service": true,
	}
	for _, c := range interoptest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			err := c.Run(t.Context(), target)
			if (err == nil) != right[c.Name] {
				t.Errorf("against a server that gets everything wrong: %v", err)
			}
		})
	}
}

// Nothing may hang on a server that accepts and never answers.
func TestCasesEnd(t *testing.T) {
	pipe := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	var held []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			held = append(held, c)
		}
	}()
	target, conn, err := engine.GRPC.NewTarget(pipe, fastgrpc.ClientConfig{CallOptions: []grpc.CallOption{grpc.WaitForReady(true)}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, c := range interoptest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			c.Limit = 100 * time.Millisecond
			start := time.Now()
			err := c.Run(t.Context(), target)
			// The one call that ends as it should: it is to be canceled, or to
			// meet its deadline, and does so without a server.
			if err == nil {
				t.Error("passed against a server that never answers")
			} else if !strings.Contains(err.Error(), c.Name) {
				t.Errorf("the error does not name the case: %v", err)
			}
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
	lis.Close()
	<-done
	for _, c := range held {
		c.Close()
	}
}
