package fastgrpc_test

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

// TestGracefulStop: calls that are under way end well, new ones don't begin.
func TestGracefulStop(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		began, goOn := make(chan struct{}, 10), make(chan struct{})
		p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			began <- struct{}{}
			<-goOn
			return echoUnary(ctx, in)
		}
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			began <- struct{}{}
			for {
				if _, err := st.Recv(); err != nil {
					return nil
				}
				st.Send(&testpb.StreamingOutputCallResponse{})
			}
		}
		results := make(chan error, 5)
		for range 5 {
			go func() {
				_, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{Payload: payload(1000)})
				results <- err
			}()
			wait(p, "call", began)
		}
		st, err := p.calls.FullDuplexCall(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		wait(p, "stream", began)
		stopped := make(chan struct{})
		go func() {
			p.srv.GracefulStop()
			close(stopped)
		}()
		// New calls fail once the client knows.
		for {
			ctx, cancel := context.WithTimeout(p.Context(), 10*time.Millisecond)
			_, err := p.calls.EmptyCall(ctx, &testpb.Empty{})
			cancel()
			if status.Code(err) == codes.Unavailable {
				break
			}
		}
		if err := st.Send(&testpb.StreamingOutputCallRequest{}); err != nil {
			p.Errorf("the stream: %v", err)
		}
		if _, err := st.Recv(); err != nil {
			p.Errorf("the stream: %v", err)
		}
		close(goOn)
		for range 5 {
			if err := wait(p, "result", results); err != nil {
				p.Error(err)
			}
		}
		select {
		case <-stopped:
			p.Error("GracefulStop did not wait for the stream")
		default:
		}
		st.CloseSend()
		if _, err := st.Recv(); err != io.EOF {
			p.Errorf("the stream's end: %v", err)
		}
		wait(p, "end of GracefulStop", stopped)
	})
}

// TestStop: calls that are under way end at once at both ends.
func TestStop(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		began, ended := make(chan struct{}, 1), make(chan error, 1)
		p.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			began <- struct{}{}
			<-ctx.Done()
			ended <- ctx.Err()
			return nil, ctx.Err()
		}
		result := make(chan error, 1)
		go func() {
			_, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{})
			result <- err
		}()
		wait(p, "call", began)
		p.srv.Stop()
		if err := wait(p, "result", result); status.Code(err) != codes.Unavailable {
			p.Errorf("client: %v", err)
		}
		if err := wait(p, "end", ended); err != context.Canceled {
			p.Errorf("handler: %v", err)
		}
	})
}

// TestReconnect: a call that waits is served when there is a server, one that
// doesn't fails with the reason, and a server that comes back is found.
func TestReconnect(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	p.dial(fastgrpc.ClientConfig{})
	cc := p.cc.(*fastgrpc.ClientConn)
	if s := cc.GetState(); s != connectivity.Idle {
		t.Errorf("at first: %v", s)
	}
	_, err := p.calls.EmptyCall(t.Context(), &testpb.Empty{})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), p.pipe) {
		t.Errorf("without a server: %v", err)
	}
	if s := cc.GetState(); s != connectivity.TransientFailure && s != connectivity.Connecting {
		t.Errorf("without a server: %v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = p.calls.EmptyCall(ctx, &testpb.Empty{}, grpc.WaitForReady(true))
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("waiting in vain: %v", err)
	}
	for range 3 {
		p.unary = echoUnary
		result := make(chan error, 1)
		go func() {
			_, err := p.calls.UnaryCall(t.Context(), &testpb.SimpleRequest{}, grpc.WaitForReady(true))
			result <- err
		}()
		p.serve(fastgrpc.ServerConfig{})
		if err := wait(p, "result", result); err != nil {
			t.Errorf("waiting: %v", err)
		}
		if s := cc.GetState(); s != connectivity.Ready {
			t.Errorf("with a server: %v", s)
		}
		p.srv.Stop()
		if !cc.WaitForStateChange(t.Context(), connectivity.Ready) {
			t.Error("the end of the server goes unnoticed")
		}
	}
	cc.Close()
	if s := cc.GetState(); s != connectivity.Shutdown {
		t.Errorf("in the end: %v", s)
	}
	if _, err := p.calls.EmptyCall(t.Context(), &testpb.Empty{}); status.Code(err) != codes.Canceled {
		t.Errorf("after Close: %v", err)
	}
}

// TestCloseEndsCalls: Close ends calls that are under way, and those that wait.
func TestCloseEndsCalls(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	p.serve(fastgrpc.ServerConfig{})
	p.dial(fastgrpc.ClientConfig{})
	began := make(chan struct{}, 1)
	p.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		began <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	result := make(chan error, 1)
	go func() {
		_, err := p.calls.UnaryCall(t.Context(), &testpb.SimpleRequest{})
		result <- err
	}()
	wait(p, "call", began)
	p.cc.(*fastgrpc.ClientConn).Close()
	if err := wait(p, "result", result); status.Code(err) != codes.Canceled {
		t.Errorf("got %v", err)
	}
}

// TestGoexit: a handler that ends its goroutine ends its call, and no other, also
// if another goroutine has taken the reading over from it.
func TestGoexit(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	p.serve(fastgrpc.ServerConfig{})
	p.dial(fastgrpc.ClientConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	call := func(i int) error {
		_, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{Payload: payload(i)})
		return err
	}
	reads, answered, gone := make(chan struct{}), make(chan error), make(chan context.Context, 10)
	p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		i := len(in.GetPayload().GetBody())
		if i > 0 && i%20 == 0 { // by then it runs on the reader
			if i%40 == 0 {
				reads <- struct{}{}
				if err := <-answered; err != nil {
					return nil, err
				}
			}
			gone <- ctx
			runtime.Goexit()
		}
		return echoUnary(ctx, in)
	}
	for i := 1; i <= 200; i++ {
		want := codes.OK
		if i%20 == 0 {
			want = codes.Internal
		}
		if i%40 == 0 { // another call of the connection is only served once another reads
			go func() {
				<-reads
				answered <- call(0)
			}()
		}
		if err := call(i); status.Code(err) != want {
			t.Fatalf("call %d: %v", i, err)
		}
		if want != codes.OK {
			ctx := <-gone
			wait(p, "end of the context", ctx.Done())
			if grpc.SetTrailer(ctx, metadata.Pairs("k", "v")) == nil {
				t.Error("the context still knows its call")
			}
		}
	}
}

// TestBlockingHandlers: beside handlers of a quick method of which one in a
// hundred blocks, the other calls of the connection are not held up for more
// than the sentinel's two ticks, and what the machine is late by.
func TestBlockingHandlers(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	p.serve(fastgrpc.ServerConfig{})
	p.dial(fastgrpc.ClientConfig{})
	block := make(chan struct{})
	p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		if in.FillUsername {
			<-block
		}
		return echoUnary(ctx, in)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 300 {
				in := &testpb.SimpleRequest{Payload: payload(64)}
				if i%100 == 99 {
					wg.Go(func() {
						in.FillUsername = true
						if _, err := p.calls.UnaryCall(t.Context(), in); err != nil {
							t.Error(err)
						}
					})
					continue
				}
				// If a blocked handler kept the connection, this would never end.
				if _, err := p.calls.UnaryCall(t.Context(), in); err != nil {
					t.Error(err)
				}
			}
		})
	}
	time.AfterFunc(0, func() {}) // keep the test's clock honest under load
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for range 12 {
		select {
		case block <- struct{}{}:
		case <-time.After(soon):
			t.Fatal("a handler that was to block never began")
		}
	}
	wait(p, "end of all calls", done)
}

// TestUnknown: services and methods that aren't there, and the handler for them.
func TestUnknown(t *testing.T) {
	for _, handled := range []bool{false, true} {
		var s setup
		if handled {
			s.server.UnknownService = func(_ any, st grpc.ServerStream) error {
				m, _ := grpc.MethodFromServerStream(st)
				in := new(testpb.SimpleRequest)
				if err := st.RecvMsg(in); err != nil {
					return err
				}
				return st.SendMsg(&testpb.SimpleResponse{Username: m, Payload: in.Payload})
			}
		}
		t.Run(fmt.Sprint(handled), func(t *testing.T) {
			inPairs(t, s, func(p *pair) {
				for _, tt := range []struct{ method, message string }{
					{"/no.such.Service/Method", "unknown service no.such.Service"},
					{"/grpc.testing.TestService/NoSuch", "unknown method NoSuch for service grpc.testing.TestService"},
					{"/noslash", "malformed method name: \"/noslash\""},
				} {
					out := new(testpb.SimpleResponse)
					err := p.cc.Invoke(p.Context(), tt.method, &testpb.SimpleRequest{Payload: payload(5)}, out)
					if handled && tt.method != "/noslash" {
						if err != nil || out.Username != tt.method || len(out.Payload.GetBody()) != 5 {
							p.Errorf("%s: %v, %v", tt.method, out, err)
						}
					} else if st := status.Convert(err); st.Code() != codes.Unimplemented || st.Message() != tt.message {
						p.Errorf("%s: %v", tt.method, err)
					}
				}
			})
		})
	}
}

// TestCardinality: a call of the wrong kind of method, in all combinations.
func TestCardinality(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		p.unary = echoUnary
		p.out = func(_ *testpb.StreamingOutputCallRequest, st grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
			st.Send(&testpb.StreamingOutputCallResponse{})
			return st.Send(&testpb.StreamingOutputCallResponse{})
		}
		const unary, out = "/grpc.testing.TestService/UnaryCall", "/grpc.testing.TestService/StreamingOutputCall"
		if err := p.cc.Invoke(p.Context(), out, &testpb.Empty{}, &testpb.Empty{}); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "cardinality") {
			p.Errorf("two responses to a unary call: %v", err)
		}
		for _, n := range []int{0, 2} {
			st, err := p.cc.NewStream(p.Context(), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, unary)
			if err != nil {
				p.Fatal(err)
			}
			for range n {
				if err := st.SendMsg(&testpb.SimpleRequest{Payload: payload(3)}); err != nil && err != io.EOF {
					p.Error(err)
				}
			}
			st.CloseSend()
			if err := st.RecvMsg(&testpb.SimpleResponse{}); status.Code(err) != codes.Internal {
				p.Errorf("%d requests of a unary method: %v", n, err)
			}
		}
	})
}

// oddOption is a call option of nobody's.
type oddOption struct{ grpc.CallOption }

// quietOption is one that does nothing for grpc-go.
type quietOption struct{ grpc.EmptyCallOption }
