package interop_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// kestrelStreams is how many streams Kestrel allows on one connection.
const kestrelStreams = 100

// moreConnections is what an error says about more connections.
var moreConnections = map[string]string{engine.GRPC.Name: "grpcpipe.WithConnections", engine.Fast.Name: "ClientConfig.Connections"}

// The 101st call waits, and goes on when one of the hundred ends. If its
// deadline passes first the error says what it waited for.
func TestKestrelStreamLimit(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		seen.RowOf(t, "stream-limit", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		dotnetpeer.StartServer(t, pipe)
		ctx := limited(t, 2*time.Minute)
		cc := newConn(t, e, pipe)
		mustPing(ctx, t, cc) // so that Kestrel's SETTINGS are known
		var last interface{ CloseSend() error }
		for i := range kestrelStreams {
			s, err := hold(ctx, cc)
			if err != nil {
				t.Fatalf("stream %d: %v", i+1, err)
			}
			last = s
		}
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		wantError(t, ping(short, cc), codes.DeadlineExceeded, "waiting for a stream", "Kestrel to 100", moreConnections[e.Name])

		waits := make(chan error, 1)
		go func() { waits <- ping(ctx, cc) }()
		if err := last.CloseSend(); err != nil {
			t.Error(err)
		}
		if err := <-waits; err != nil {
			t.Errorf("the call that waited: %v", err)
		}
	})
}

// 250 long-lived streams at once have room on three connections, and calls
// find room beside them.
func TestKestrelWithConnections(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "connections", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		dotnetpeer.StartServer(t, pipe)
		ctx := limited(t, 2*time.Minute)
		cc := newConnWith(t, e, pipe, fastgrpc.ClientConfig{Connections: 3})
		const streams = 250
		errs := make([]error, streams)
		var wg sync.WaitGroup
		for i := range streams {
			wg.Go(func() { _, errs[i] = hold(ctx, cc) })
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil {
				t.Fatalf("stream %d: %v", i+1, err)
			}
		}
		short, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		for range 100 {
			mustPing(short, t, cc)
		}
		mark.Say("%d streams on 3 connections", streams)
	})
}
