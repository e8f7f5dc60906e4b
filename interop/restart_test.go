package interop_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

const (
	restartUnary   = 200 // unary calls of the .NET client in flight at any moment
	restartStreams = 20  // and server streams of 1 000 messages
	// restartRest is how long each server serves before the next takes over.
	restartRest = time.Second
	// gracefulLimit bounds a GracefulStop, whose calls all end by themselves.
	gracefulLimit = 20 * time.Second
)

// Go servers stop gracefully and hand the pipe on, one after the other, while
// .NET clients keep 200 calls and 20 streams in flight. The first call that
// fails ends the client with an error.
func TestSoakGracefulStopUnderDotNetClients(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "restart-dotnet", e.Name)
		pipe := testproc.PipeName()
		seconds := max(soak.N(40), 6)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second*5/4+2*time.Minute)
		defer cancel()

		server := newServer(t, ctx, e, pipe)
		holdUnderWine(t, pipe)
		secs := fmt.Sprint(seconds)
		unary := dotnetpeer.StartBench(ctx, t, pipe, "--seconds", secs, "--concurrency", fmt.Sprint(restartUnary))
		streams := dotnetpeer.StartBench(ctx, t, pipe, "--seconds", secs, "--concurrency", fmt.Sprint(restartStreams), "--stream")
		type outcome struct {
			name   string
			result dotnetpeer.BenchResult
			err    error
		}
		outcomes := make(chan outcome, 2)
		for name, b := range map[string]dotnetpeer.Bench{"unary calls": unary, "streams": streams} {
			go func() {
				r, err := b.Result(ctx)
				outcomes <- outcome{name, r, err}
			}()
		}

		restarts, worst := 0, time.Duration(0)
		var done []outcome
		for len(done) < 2 {
			select {
			case o := <-outcomes:
				done = append(done, o)
				continue
			case <-time.After(restartRest):
			}
			if len(done) > 0 {
				continue // one bench is over: a restart would no longer meet both
			}
			start := time.Now()
			stopGracefully(t, server)
			server = newServer(t, ctx, e, pipe)
			worst = max(worst, time.Since(start))
			holdUnderWine(t, pipe)
			restarts++
		}
		calls := map[string]int{}
		for _, o := range done {
			if o.err != nil {
				t.Errorf("%s: %v", o.name, o.err)
			}
			calls[o.name] = o.result.Calls
		}
		if restarts < 2 {
			t.Errorf("only %d restarts in %d s", restarts, seconds)
		}
		if dotnetpeer.UnderWine() {
			mark.Say("%d restarts, while a handle of the old pipe is held", restarts)
		} else {
			mark.Say("%d restarts", restarts)
		}
		soak.Report(t, fmt.Sprintf("GracefulStop of %s under .NET clients, %d calls and %d streams in flight", e.Name, restartUnary, restartStreams),
			"no call lost, none cut",
			fmt.Sprintf("%d restarts, %d calls, %d streams, longest hand-over %v", restarts, calls["unary calls"], calls["streams"], worst.Round(time.Millisecond)))
	})
}

// newServer listens and serves. The server is stopped when the test ends.
func newServer(t *testing.T, ctx context.Context, e engine.Engine, pipe string) engine.Server {
	t.Helper()
	lis, err := namedpipe.Listen(ctx, pipe)
	if err != nil {
		t.Fatal(err)
	}
	s := e.NewTestServer(fastgrpc.ServerConfig{})
	t.Cleanup(s.Stop)
	go s.Serve(lis) // ends with Stop or GracefulStop
	return s
}

// holdUnderWine has a client that keeps its handle of the pipe when the server
// has long ended their connection. When a pipe's last handle closes, Wine 10 ends
// WaitNamedPipe with ERROR_HANDLES_CLOSED, which Windows doesn't, and with that
// .NET's connect gives up. While there is a handle it goes on looking, and finds
// the next server's pipe. Windows must show it without: there such a client would
// keep the next server from listening.
func holdUnderWine(t *testing.T, pipe string) {
	t.Helper()
	if !dotnetpeer.UnderWine() {
		return
	}
	c := newFrameClient(t, dial(t, pipe)) // closed when the test ends
	go c.stay()
}

// stopGracefully waits for the end of GracefulStop.
func stopGracefully(t *testing.T, s engine.Server) {
	t.Helper()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.GracefulStop()
	}()
	select {
	case <-stopped:
	case <-time.After(gracefulLimit):
		s.Stop()
		<-stopped
		t.Errorf("GracefulStop was not done within %v", gracefulLimit)
	}
}
