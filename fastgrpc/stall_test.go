package fastgrpc_test

import (
	"context"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A stalledClient is a connection whose windows are never opened.
type stalledClient struct {
	*namedpipe.Conn
	*http2.Framer
	resets chan http2.RSTStreamFrame
}

func dialStalled(t *testing.T, pipe string) *stalledClient {
	t.Helper()
	c, err := namedpipe.Dial(testContext(t), pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	s := &stalledClient{c, http2.NewFramer(c, c), make(chan http2.RSTStreamFrame, 100)}
	io.WriteString(c, http2.ClientPreface)
	s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	go func() {
		for {
			f, err := s.ReadFrame()
			if err != nil {
				return
			}
			if r, ok := f.(*http2.RSTStreamFrame); ok {
				s.resets <- *r
			}
		}
	}()
	return s
}

func (s *stalledClient) call(id uint32, method string, more ...string) {
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: request("/grpc.testing.TestService/"+method, more...)})
	s.WriteData(id, true, make([]byte, 5))
}

// TestStalledClient: handlers wait for a client that never opens its windows, each
// with the one message that it sends, and no more than Limits.Streams of them. A
// reset, a deadline or the end of the connection ends the waiting.
func TestStalledClient(t *testing.T) {
	t.Parallel()
	const streams, more = 5, 3
	began, ended := make(chan struct{}, 100), make(chan error, 100)
	svc := &service{unary: func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		began <- struct{}{}
		return &testpb.SimpleResponse{Payload: payload(1 << 20)}, nil
	}, out: func(_ *testpb.StreamingOutputCallRequest, st grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
		began <- struct{}{}
		err := st.Send(&testpb.StreamingOutputCallResponse{Payload: payload(1 << 20)})
		ended <- err
		return err
	}}
	srv := fastgrpc.NewServer(fastgrpc.ServerConfig{Limits: fastgrpc.Limits{Streams: streams}})
	testpb.RegisterTestServiceServer(srv, svc)
	pipe := testproc.PipeName()
	serve(t, pipe, srv)
	c := dialStalled(t, pipe)
	next := uint32(1)
	call := func(method string, more ...string) {
		c.call(next, method, more...)
		next += 2
	}
	reset := func(want http2.ErrCode) {
		t.Helper()
		select {
		case r := <-c.resets:
			if r.ErrCode != want {
				t.Errorf("stream %d was reset by %v, want %v", r.StreamID, r.ErrCode, want)
			}
		case <-time.After(soon):
			t.Fatalf("no reset within %v", soon)
		}
	}
	for range streams + more {
		call("StreamingOutputCall")
	}
	for range more {
		reset(http2.ErrCodeRefusedStream)
	}
	for range streams {
		<-began
	}
	if len(began) > 0 || len(ended) > 0 {
		t.Errorf("%d more handlers run, %d have ended", len(began), len(ended))
	}

	c.WriteRSTStream(1, http2.ErrCodeCancel)
	if err := <-ended; err == nil {
		t.Error("a message was sent without a window")
	}
	for served := false; !served; { // once the handler has returned
		call("UnaryCall", "grpc-timeout", "50m")
		select {
		case <-began:
			served = true
		case r := <-c.resets:
			if r.ErrCode != http2.ErrCodeRefusedStream {
				t.Fatalf("reset by %v", r.ErrCode)
			}
		}
	}
	reset(http2.ErrCodeCancel)

	c.Conn.Close()
	for range streams - 1 {
		select {
		case err := <-ended:
			if err == nil {
				t.Error("a message was sent without a window")
			}
		case <-time.After(soon):
			t.Fatal("a handler waits for a connection that has ended")
		}
	}
}
