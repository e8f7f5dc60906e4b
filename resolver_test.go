package grpcpipe_test

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// By the time a server has been away for a while grpc waits up to two seconds
// before it dials again. The call must not.
func TestBackoffIsCutShort(t *testing.T) {
	t.Parallel()
	for round := range 3 {
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			t.Parallel()
			ctx, name := testContext(t), pipeName(t)
			cc := dial(t, name)
			served := make(chan error, 1)
			go func() {
				_, err := call(ctx, cc, grpc.WaitForReady(true))
				served <- err
			}()
			<-time.After(1500 * time.Millisecond) // the back-off must have grown
			start := time.Now()
			serve(t, name)
			if err := <-served; err != nil {
				t.Fatal(err)
			}
			if d := time.Since(start); d > 200*time.Millisecond {
				t.Errorf("served %v after the server was there", d)
			}
		})
	}
}

// Not parallel: it counts the goroutines of all channels.
func TestIdleAndClosedChannelsLeaveNothing(t *testing.T) {
	ctx := testContext(t)
	watchers := func() int { return testproc.Goroutines("(*Follower).Run(") }
	name := pipeName(t)
	serve(t, name)
	for _, target := range []string{"npipe:" + name, "npipe:" + pipeName(t), "npipe:" + pipeName(t) + "-*", "npipe:" + name + "," + pipeName(t)} {
		cc := client(t, target, grpc.WithIdleTimeout(100*time.Millisecond))
		cc.Connect()
		testproc.Eventually(ctx, t, "the watcher runs", func() bool { return watchers() == 1 })
		testproc.Eventually(ctx, t, "it ends when the channel is idle", func() bool { return watchers() == 0 && cc.GetState() == connectivity.Idle })
		cc.Connect()
		testproc.Eventually(ctx, t, "the watcher runs again", func() bool { return watchers() == 1 })
		cc.Close()
		if n := watchers(); n != 0 {
			t.Errorf("%s: %d watchers after Close", target, n)
		}
	}
}

// An idle connection must hold no read buffer at either end where the system
// lets one wait without. Not parallel: it measures memory.
func TestIdleConnectionsHoldNoBuffers(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a read on a Windows pipe is handed to the system together with its buffer")
	}
	const n = 200
	perConn := func(opts ...grpc.DialOption) int {
		ctx, name := testContext(t), pipeName(t)
		serve(t, name)
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for range n {
			mustCall(ctx, t, client(t, name, opts...))
		}
		runtime.GC()
		runtime.GC() // pools give way at the second collection
		runtime.ReadMemStats(&after)
		return (int(after.HeapAlloc) - int(before.HeapAlloc)) / n
	}
	ours := perConn()
	// The same connection through a type that grpc can't see through.
	pinned := perConn(grpc.WithContextDialer(opaqueDial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	t.Logf("an idle connection, both ends and the channel: %d bytes; with a read buffer held at the client: %d", ours, pinned)
	if pinned-ours < 48<<10 {
		t.Errorf("only %d bytes less than with a read buffer of 64 KiB held", pinned-ours)
	}
	if ours > 64<<10 {
		t.Errorf("%d bytes for an idle connection", ours)
	}
}

// opaqueDial dials a pipe and hides what the connection can do.
func opaqueDial(ctx context.Context, path string) (net.Conn, error) {
	c, err := namedpipe.Dial(ctx, path)
	return struct{ net.Conn }{c}, err
}
