package fastgrpc_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

// TestDeadline: the server knows the client's deadline, and both notice it.
func TestDeadline(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		ended := make(chan error, 1)
		left := make(chan time.Duration, 1)
		p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			d, _ := ctx.Deadline()
			left <- time.Until(d)
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			d, _ := st.Context().Deadline()
			left <- time.Until(d)
			_, err := st.Recv()
			ended <- st.Context().Err()
			return err
		}
		check := func(err error) {
			p.Helper()
			if status.Code(err) != codes.DeadlineExceeded {
				p.Errorf("client: %v", err)
			}
			if d := wait(p, "deadline", left); d <= 0 || d > 300*time.Millisecond {
				p.Errorf("the handler had %v", d)
			}
			if err := wait(p, "end", ended); err == nil {
				p.Error("the handler's context did not end")
			}
		}
		const allowed = 300 * time.Millisecond
		p.calls.EmptyCall(p.Context(), &testpb.Empty{}) // connects
		for range 2 {
			ctx, cancel := context.WithTimeout(p.Context(), allowed)
			_, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{})
			check(err)
			cancel()
			ctx, cancel = context.WithTimeout(p.Context(), allowed)
			st, err := p.calls.FullDuplexCall(ctx)
			if err == nil {
				_, err = st.Recv()
			}
			check(err)
			cancel()
		}
		ctx, cancel := context.WithTimeout(p.Context(), -1)
		defer cancel()
		if _, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.DeadlineExceeded {
			p.Errorf("a deadline that has passed: %v", err)
		}
	})
}

// TestCancel: a call that the client gives up ends at both ends, whether or not
// the caller waits in it.
func TestCancel(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		began, ended := make(chan context.Context, 1), make(chan error, 1)
		handle := func(ctx context.Context) error {
			began <- ctx
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			<-child.Done()
			ended <- ctx.Err()
			return ctx.Err()
		}
		p.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return nil, handle(ctx)
		}
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			return handle(st.Context())
		}
		ctx, cancel := context.WithCancel(p.Context())
		got := make(chan error, 1)
		go func() {
			_, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{})
			got <- err
		}()
		wait(p, "call", began)
		cancel()
		if err := wait(p, "error", got); status.Code(err) != codes.Canceled {
			p.Errorf("client: %v", err)
		}
		if err := wait(p, "end", ended); err != context.Canceled {
			p.Errorf("handler: %v", err)
		}
		ctx, cancel = context.WithCancel(p.Context())
		st, err := p.calls.FullDuplexCall(ctx)
		if err != nil {
			p.Fatal(err)
		}
		wait(p, "stream", began)
		cancel() // while nobody waits in the stream
		if err := wait(p, "end", ended); err != context.Canceled {
			p.Errorf("stream's handler: %v", err)
		}
		if _, err := st.Recv(); status.Code(err) != codes.Canceled {
			p.Errorf("stream: %v", err)
		}
	})
}

// TestHandlerReturns: what a handler leaves behind is woken when it returns.
func TestHandlerReturns(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		left, enough := make(chan error, 2), make(chan struct{})
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			for range 3 { // so that it reads for the connection
				if _, err := st.Recv(); err != nil {
					return err
				}
				st.Send(&testpb.StreamingOutputCallResponse{})
			}
			go func() {
				_, err := st.Recv()
				left <- err
			}()
			go func() {
				var err error
				for err == nil {
					err = st.Send(&testpb.StreamingOutputCallResponse{Payload: payload(100000)})
				}
				left <- err
			}()
			<-enough
			return nil
		}
		st, err := p.calls.FullDuplexCall(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		for range 3 {
			if err := st.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
				p.Fatal(err)
			}
			if _, err := st.Recv(); err != nil {
				p.Fatal(err)
			}
		}
		close(enough)
		for range 2 {
			select {
			case err := <-left:
				if err == nil {
					p.Error("a message that was never sent")
				}
			case <-p.Context().Done():
				p.Fatal("a goroutine still waits for a call that has ended")
			}
		}
	})
}

// TestEarlyEnd: a handler that returns before the client has finished.
func TestEarlyEnd(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			if _, err := st.Recv(); err != nil {
				return err
			}
			st.Send(&testpb.StreamingOutputCallResponse{Payload: payload(10)})
			return status.Error(codes.FailedPrecondition, "enough")
		}
		p.unary = echoUnary
		st, err := p.calls.FullDuplexCall(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		big := &testpb.StreamingOutputCallRequest{Payload: payload(100000)}
		for err == nil {
			err = st.Send(big)
		}
		if err != io.EOF {
			p.Errorf("Send: %v", err)
		}
		if m, err := st.Recv(); err != nil || len(m.Payload.Body) != 10 {
			p.Errorf("Recv: %v", err)
		}
		if _, err := st.Recv(); status.Code(err) != codes.FailedPrecondition {
			p.Errorf("then: %v", err)
		}
		if _, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}); err != nil {
			p.Errorf("the next call: %v", err)
		}
	})
}

// headGone is a stats handler that says when a response's head is made.
type headGone struct {
	*teller
	gone chan struct{}
}

func (h headGone) HandleRPC(_ context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutHeader); ok {
		h.gone <- struct{}{}
	}
}

// TestHandlerReturnsInSend: a handler returns while a goroutine of its own sends
// the first message. The client gets the message or not, but no response without
// a head.
func TestHandlerReturnsInSend(t *testing.T) {
	for _, client := range []string{"fastgrpc", "grpc-go"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			p := newPair(t, "fastgrpc", client)
			h := headGone{newTeller(), make(chan struct{}, 1)}
			p.serve(fastgrpc.ServerConfig{StatsHandlers: []stats.Handler{h}})
			p.dial(fastgrpc.ClientConfig{})
			p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
				go st.Send(&testpb.StreamingOutputCallResponse{})
				<-h.gone
				return nil
			}
			for range 1000 {
				st, err := p.calls.FullDuplexCall(p.Context())
				for err == nil {
					_, err = st.Recv()
				}
				if err != io.EOF {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestUnfitMessage: a stream whose client can't encode or decode a message is over
// at both ends.
func TestUnfitMessage(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		ended := make(chan error)
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			st.Send(&testpb.StreamingOutputCallResponse{})
			<-st.Context().Done()
			ended <- st.Context().Err()
			return nil
		}
		for what, tt := range map[string]struct {
			do   func(grpc.ClientStream) error
			want codes.Code
		}{
			"encode": {func(st grpc.ClientStream) error { return st.SendMsg(&testpb.SimpleRequest{Payload: payload(200)}) }, codes.ResourceExhausted},
			"decode": {func(st grpc.ClientStream) error { return st.RecvMsg(new(int)) }, codes.Internal},
		} {
			st, err := p.calls.FullDuplexCall(p.Context(), grpc.MaxCallSendMsgSize(100))
			if err != nil {
				p.Fatal(err)
			}
			if _, err := st.Header(); err != nil {
				p.Fatal(err)
			}
			if err := tt.do(st); status.Code(err) != tt.want {
				p.Errorf("%s: %v", what, err)
			}
			if err := wait(p, "end of the handler after a failed "+what, ended); err != context.Canceled {
				p.Errorf("%s: the handler's context ended by %v", what, err)
			}
		}
	})
}
