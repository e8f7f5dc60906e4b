package interop_test

import (
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// once makes one call on a channel of its own.
func once(t *testing.T, e engine.Engine, pipe string) error {
	cc, err := e.NewClient(pipe, fastgrpc.ClientConfig{})
	if err != nil {
		return err
	}
	ctx := limited(t, time.Minute)
	return errors.Join(ping(ctx, cc), cc.Close())
}

// Kestrel's pipes have a quota of 0 bytes: whoever writes waits until the other
// end has read. 64 MiB both ways at once hang if either end reads only when its
// own write is done.
func TestFloodAgainstQuotaOfZero(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "flood", e.Name)
		pipe := testproc.PipeName()
		dotnetpeer.StartServer(t, pipe)
		for _, c := range interoptest.Cases() {
			if c.Name == "full_duplex_flood_64MiB" {
				start := time.Now()
				if err := c.Run(t.Context(), interoptest.Target{Conn: newConn(t, e, pipe)}); err != nil {
					t.Error(err)
				}
				t.Logf("took %v", time.Since(start))
				mark.Say("64 MiB each way")
				return
			}
		}
		t.Error("the case is gone")
	})
}

// Clients that come one after the other, each with a channel and a call of its
// own, and leave nothing behind.
func TestSoakClientsOneAfterTheOther(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		clients := soak.N(500)
		t.Run("Go to Kestrel", func(t *testing.T) {
			mark := seen.RowOf(t, "serial-go", e.Name)
			pipe := testproc.PipeName()
			dotnetpeer.StartServer(t, pipe)
			for i := range clients {
				if err := once(t, e, pipe); err != nil {
					t.Fatalf("client %d: %v", i+1, err)
				}
			}
			mark.Say("%d clients", clients)
		})
		t.Run("dotnet to Go", func(t *testing.T) {
			mark := seen.RowOf(t, "serial-dotnet", e.Name)
			pipe := testproc.PipeName()
			ctx := limited(t, 3*time.Minute)
			lis := listen(t, pipe)
			s := e.NewTestServer(fastgrpc.ServerConfig{})
			t.Cleanup(s.Stop)
			go s.Serve(lis) // ends with Stop
			// The bench counts time and not calls: a .NET client takes some 2 ms, under
			// Wine some 20. Its connections stay open until .NET finds them idle or the
			// process ends, so that many processes of a second are better than one of
			// many, which would use up the system's files.
			calls := 0
			for calls < clients {
				r, err := dotnetpeer.StartBench(ctx, t, pipe, "--connect", "--concurrency", "1", "--seconds", "1").Result(ctx)
				if err != nil {
					t.Fatal(err)
				}
				calls += r.Calls
			}
			keepsOnly(t, lis, 0)
			mark.Say("%d clients", calls)
		})
	})
}

// 200 clients that connect at the same moment.
func TestClientsAtOnce(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		const clients = 200
		t.Run("Go to Kestrel", func(t *testing.T) {
			mark := seen.RowOf(t, "burst-go", e.Name)
			pipe := testproc.PipeName()
			dotnetpeer.StartServer(t, pipe)
			errs := make([]error, clients)
			var wg sync.WaitGroup
			for i := range clients {
				wg.Go(func() { errs[i] = once(t, e, pipe) })
			}
			wg.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
			mark.Say("%d clients", clients)
		})
		t.Run("dotnet to Go", func(t *testing.T) {
			mark := seen.RowOf(t, "burst-dotnet", e.Name)
			pipe := testproc.PipeName()
			ctx := limited(t, 2*time.Minute)
			newServer(t, ctx, e, pipe)
			r, err := dotnetpeer.StartBench(ctx, t, pipe, "--connect", "--concurrency", strconv.Itoa(clients), "--seconds", "2").Result(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if r.Calls < clients {
				t.Errorf("%d clients, want %d at least", r.Calls, clients)
			}
			mark.Say("%d clients", clients)
		})
	})
}

// oddNames are names that are easy to get wrong on the way through command
// lines, URLs and paths. They are made unique by the test.
var oddNames = []string{"with some spaces ", "Büro-Größe-", "日本語の管-", "100%25 #1&2+", "Ünïcode mit Leerzeichen "}

func TestOddNames(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		for _, name := range oddNames {
			t.Run(name, func(t *testing.T) {
				pipe := name + testproc.PipeName()
				t.Run("Go to Kestrel", func(t *testing.T) {
					seen.RowOf(t, "names-go", e.Name)
					t.Parallel()
					dotnetpeer.StartServer(t, pipe)
					mustPing(limited(t, time.Minute), t, newConn(t, e, "npipe:"+pipe))
				})
				t.Run("dotnet to Go", func(t *testing.T) {
					seen.RowOf(t, "names-dotnet", e.Name)
					t.Parallel()
					pipe := pipe + "2"
					ctx := limited(t, 2*time.Minute)
					newServer(t, ctx, e, pipe)
					results, err := dotnetpeer.RunClient(ctx, t, pipe, []string{"greeter"})
					if err := errors.Join(err, results["greeter"]); err != nil {
						t.Error(err)
					}
				})
			})
		}
	})
}
