package grpcpipe_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// holdStreams opens n streams that stay open until ctx ends, each after its
// server's first answer.
func holdStreams(ctx context.Context, t testing.TB, cc grpc.ClientConnInterface, n int) []grpc_testing.TestService_FullDuplexCallClient {
	t.Helper()
	var streams []grpc_testing.TestService_FullDuplexCallClient
	for i := range n {
		s, err := openStream(ctx, cc)
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		streams = append(streams, s)
	}
	return streams
}

// A call for which the server's limit has no room waits, and goes on when
// another one ends. If its deadline passes first the error tells what it
// waited for.
func TestStreamLimitIsNamed(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	name := pipeName(t)
	serve(t, name, limited(3))
	cc := dial(t, name)
	mustCall(ctx, t, cc) // the limit is known from here on
	streams := holdStreams(ctx, t, cc, 3)

	short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err := call(short, cc)
	wantText(t, err, "waiting for a stream", "Kestrel to 100", "Connections")
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("the code is %v", status.Code(err))
	}
	short, cancel = context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	_, err = grpc_testing.NewTestServiceClient(cc).FullDuplexCall(short)
	wantText(t, err, "waiting for a stream")

	waited := make(chan error, 1)
	go func() { _, err := call(ctx, cc); waited <- err }()
	if err := streams[0].CloseSend(); err != nil {
		t.Error(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("the call that waited: %v", err)
	}
}

// limited is for a server with a limit on the calls of a connection.
func limited(n uint32) fastgrpc.ServerConfig {
	return fastgrpc.ServerConfig{Limits: fastgrpc.Limits{Streams: n}}
}

// Calls that are there before the connections spread over all of them.
func TestWithConnectionsFromTheFirstCall(t *testing.T) {
	t.Parallel()
	for range 10 {
		ctx := testContext(t)
		name := pipeName(t)
		serve(t, name, limited(10))
		cc := dial(t, name, fastgrpc.ClientConfig{Connections: 3})
		if err := openAtOnce(ctx, cc, 30); err != nil {
			t.Fatal(err)
		}
		cc.Close()
	}
}

// openStream opens a stream, proven by a message each way.
func openStream(ctx context.Context, cc grpc.ClientConnInterface) (grpc_testing.TestService_FullDuplexCallClient, error) {
	s, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx)
	if err == nil {
		err = s.Send(&grpc_testing.StreamingOutputCallRequest{})
	}
	if err == nil {
		_, err = s.Recv()
	}
	return s, err
}

// openAtOnce opens n streams at the same time.
func openAtOnce(ctx context.Context, cc grpc.ClientConnInterface, n int) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			_, errs[i] = openStream(ctx, cc)
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// Other deadlines keep grpc's words.
func TestStreamLimitIsNotBlamedForAnythingElse(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	name := pipeName(t)
	gate := make(chan struct{})
	svc := &service{name: name, unary: func(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		<-gate
		return &grpc_testing.SimpleResponse{}, nil
	}}
	serveBoth(t, name, svc)
	t.Cleanup(func() { close(gate) })
	cc := dial(t, name)
	cc.Connect()
	waitState(ctx, t, cc, connectivity.Ready)
	short, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := call(short, cc); status.Code(err) != codes.DeadlineExceeded || strings.Contains(err.Error(), "waiting for a stream") {
		t.Errorf("a slow server: %v", err)
	}
	if _, err := call(short, cc); status.Code(err) != codes.DeadlineExceeded || strings.Contains(err.Error(), "waiting for a stream") {
		t.Errorf("a deadline in the past: %v", err)
	}
}

func TestWithConnections(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	name := pipeName(t)
	s := serve(t, name, limited(10))
	cc := dial(t, name, fastgrpc.ClientConfig{Connections: 3})
	mustCall(ctx, t, cc)
	testproc.Eventually(ctx, t, "there are three connections", func() bool { return s.lis.Stats().Open == 3 })
	testproc.Eventually(ctx, t, "30 calls at once have room", func() bool {
		// The last connections may not be ready for calls yet.
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		return openAtOnce(short, cc, 30) == nil
	})
	// Uneven loads too: whatever ends leaves room that the next call finds.
	uneven, stop := context.WithCancel(ctx)
	held := holdStreams(uneven, t, cc, 29)
	for range 60 {
		mustCall(ctx, t, cc)
	}
	_ = held
	stop()

	// A restarted server gets all of them back.
	s.stop()
	s = serve(t, name, limited(10))
	testproc.Eventually(ctx, t, "there are three connections again", func() bool { return s.lis.Stats().Open == 3 })
	mustCall(ctx, t, cc, grpc.WaitForReady(true))
}

// Over several pipes the calls go to the servers that answer, whatever the others
// do: accept and say nothing, or have room for one connection only.
func TestWithConnectionsBesideASilentServer(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	healthy, silent := pipeName(t), pipeName(t)
	serve(t, healthy)
	strange(t, silent, func(net.Conn) {})
	for _, n := range []int{1, 3} {
		cc := dial(t, "npipe:"+silent+","+healthy, fastgrpc.ClientConfig{Connections: n})
		start := time.Now()
		if reply := mustCall(ctx, t, cc); reply.ServerId != healthy {
			t.Errorf("reached %q", reply.ServerId)
		}
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("with %d connections the first call took %v", n, d)
		}
	}
}

func TestWithConnectionsToAServerWithRoomForOne(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	name := pipeName(t)
	s := engineOf(t).NewServer(fastgrpc.ServerConfig{})
	grpc_testing.RegisterTestServiceServer(s, &service{name: name})
	lis, done := listen(t, name), make(chan struct{})
	go func() { defer close(done); s.Serve(&oneConn{Listener: lis}) }()
	t.Cleanup(func() { s.Stop(); <-done })
	start := time.Now()
	mustCall(ctx, t, dial(t, name, fastgrpc.ClientConfig{Connections: 2}))
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("the first call took %v", d)
	}
}

// A oneConn accepts one connection and lets the others wait.
type oneConn struct {
	net.Listener
	taken atomic.Bool
}

func (l *oneConn) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	for err == nil && !l.taken.CompareAndSwap(false, true) {
		defer c.Close() // when the listener is closed
		c, err = l.Listener.Accept()
	}
	return c, err
}

func TestWithConnectionsOutOfRange(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 0, 101} {
		if cc, err := grpcpipe.NewClient("x", grpcpipe.WithConnections(n)); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%d: %v, %v", n, cc, err)
		}
	}
	client(t, "127.0.0.1:1", grpcpipe.WithConnections(2), grpc.WithTransportCredentials(insecure.NewCredentials()))
}
