package interop_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// Kestrel stops while calls are under way: it sends GOAWAY and waits for them.
// None is lost, and the next call goes to the server that takes over.
func TestKestrelStopsWithCallsInFlight(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "kestrel-goaway", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		first := dotnetpeer.StartServer(t, pipe)
		ctx := limited(t, 3*time.Minute)
		cc := newConn(t, e, pipe)

		const calls, messages = 20, 40
		var streams []testpb.TestService_StreamingOutputCallClient
		for range calls {
			s, err := openStream(ctx, cc, slowStream(messages, 100*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		first.CloseStdin() // which stops it in an orderly way
		testproc.Eventually(ctx, t, "Kestrel stops listening", func() bool { return absent(ctx, pipe) })
		waits := make(chan error, 1)
		go func() { waits <- ping(ctx, cc, grpc.WaitForReady(true)) }()
		dotnetpeer.StartServer(t, pipe)
		if err := <-waits; err != nil {
			t.Errorf("the call to the restarted server: %v", err)
		}
		errs := make([]error, calls)
		var wg sync.WaitGroup
		for i, s := range streams {
			wg.Go(func() {
				for n := 1; ; n++ {
					_, err := s.Recv()
					if errors.Is(err, io.EOF) && n == messages {
						return
					}
					if err != nil {
						errs[i] = fmt.Errorf("stream %d, message %d: %w", i, n, err)
						return
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		mark.Say("%d streams end in full", calls)
	})
}

// The server's process dies in mid-stream. Every call ends at once with
// Unavailable, and the channel finds the next server.
func TestKestrelKilledInMidStream(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "kestrel-killed", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		first := dotnetpeer.StartServer(t, pipe)
		ctx := limited(t, 3*time.Minute)
		cc := newConn(t, e, pipe)
		const calls = 20
		ends := make(chan error, calls)
		for range calls {
			s, err := openStream(ctx, cc, slowStream(10_000, 10*time.Millisecond))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				for {
					if _, err := s.Recv(); err != nil {
						ends <- err
						return
					}
				}
			}()
		}
		first.Kill()
		start := time.Now()
		for range calls {
			if err := <-ends; status.Code(err) != codes.Unavailable {
				t.Errorf("a stream ended with %v, want Unavailable", err)
			}
		}
		took := time.Since(start)
		if took > 5*time.Second {
			t.Errorf("the streams took %v to end", took)
		}
		waits := make(chan error, 1)
		go func() { waits <- ping(ctx, cc, grpc.WaitForReady(true)) }()
		dotnetpeer.StartServer(t, pipe)
		if err := <-waits; err != nil {
			t.Errorf("the call to the restarted server: %v", err)
		}
		mark.Say("ends after %v", max(took.Round(time.Millisecond), time.Millisecond))
	})
}

// A Kestrel that speaks HTTP/1.1 only, which is its default without TLS, is
// told from a server that is down, at once and with the line to change.
func TestKestrelWithoutHTTP2(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		for _, protocols := range []string{"Http1", "Http1AndHttp2"} {
			t.Run(protocols, func(t *testing.T) {
				mark := seen.RowOf(t, "kestrel-http1", e.Name)
				t.Parallel()
				pipe := testproc.PipeName()
				dotnetpeer.StartServer(t, pipe, "--protocols", protocols)
				ctx := limited(t, 30*time.Second)
				fastest := time.Minute
				for range 3 { // the machine may be busy with something else
					start := time.Now()
					err := ping(ctx, newConn(t, e, pipe))
					fastest = min(fastest, time.Since(start))
					wantError(t, err, codes.Unavailable, "takes HTTP/1.1 only", "listenOptions.Protocols = HttpProtocols.Http2", pipe)
				}
				if fastest > time.Second {
					t.Errorf("the error took %v", fastest)
				}
				mark.Say("told within 1 s")
			})
		}
	})
}

// A client may be there before its server.
func TestPipeThatIsNotThereYet(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		t.Run("Go client", func(t *testing.T) {
			seen.RowOf(t, "pipe-later", e.Name)
			t.Parallel()
			pipe := testproc.PipeName()
			ctx := limited(t, 2*time.Minute)
			cc := newConn(t, e, pipe)
			wantError(t, ping(ctx, cc), codes.Unavailable, "there is no such pipe", pipe)
			waits := make(chan error, 1)
			go func() { waits <- ping(ctx, cc, grpc.WaitForReady(true)) }()
			dotnetpeer.StartServer(t, pipe)
			if err := <-waits; err != nil {
				t.Error(err)
			}
		})
		t.Run("dotnet client", func(t *testing.T) {
			seen.RowOf(t, "pipe-later-dotnet", e.Name)
			t.Parallel()
			pipe := testproc.PipeName()
			ctx := limited(t, 2*time.Minute)
			bench := dotnetpeer.StartBench(ctx, t, pipe, "--concurrency", "1", "--seconds", "1")
			// The client says nothing when it has begun to wait, so that the server
			// is late by the time that a .NET program takes to start, and a little.
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			newServer(t, ctx, e, pipe)
			if _, err := bench.Result(ctx); err != nil {
				t.Error(err)
			}
		})
	})
}

// wantError fails unless err has the code and all the texts.
func wantError(t testing.TB, err error, code codes.Code, texts ...string) {
	t.Helper()
	if status.Code(err) != code {
		t.Errorf("got %v, want an error with %v", err, code)
		return
	}

	if i := slices.IndexFunc(texts, func(s string) bool { return !contains(err.Error(), s) }); i >= 0 {
		t.Errorf("error without %q: %v", texts[i], err)
	}
}
