package interop_test

import (
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A hookListener shows a connection to a hook before anybody reads from it.
type hookListener struct {
	*namedpipe.Listener
	hook atomic.Pointer[func(*namedpipe.Conn)] // for the next connection only
}

func (l *hookListener) Accept() (net.Conn, error) {
	c, err := l.AcceptPipe()
	if err != nil {
		return nil, err
	}
	if hook := l.hook.Swap(nil); hook != nil {
		(*hook)(c)
	}
	return c, nil
}

// A .NET client connects and is gone before its first byte: its process is
// killed when the server has accepted the connection, and what it has left
// unread shows whether that was soon enough. The server, which gets the
// connection as it is, serves whoever else is there or comes, and keeps nothing.
func TestDotNetClientLeavesBeforeItsFirstByte(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		for _, v := range clientVariants[:2] { // without TLS and with
			t.Run(v.name, func(t *testing.T) {
				mark := seen.RowOf(t, "leaves-silent", e.Name)
				pipe := testproc.PipeName()
				ctx := limited(t, 3*time.Minute)
				lis := &hookListener{Listener: listen(t, pipe)}
				s := e.NewTestServer(serverConfig(t, v))
				t.Cleanup(s.Stop)
				go s.Serve(lis) // ends with Stop
				target, _ := newTarget(t, e, pipe, v)
				mustPing(ctx, t, target.Conn)

				const clients, attempts = 5, 25
				silent := 0
				for i := 0; silent < clients; i++ {
					if i == attempts {
						t.Fatalf("%d of %d clients were killed before their first byte, want %d", silent, attempts, clients)
					}
					started := make(chan dotnetpeer.Bench, 1)
					found := make(chan error, 1)
					kill := func(c *namedpipe.Conn) {
						(<-started).Kill()
						found <- leftSilently(c)
					}
					lis.hook.Store(&kill)
					started <- dotnetpeer.StartBench(ctx, t, pipe, append([]string{"--connect", "--seconds", "30"}, v.args...)...)
					select {
					case err := <-found:
						if errors.Is(err, errSpoke) {
							t.Logf("attempt %d: %v", i+1, err)
						} else if err != nil {
							t.Fatal(err)
						} else {
							silent++
						}
					case <-ctx.Done():
						t.Fatal("the .NET client never connected")
					}
					mustPing(ctx, t, target.Conn)
					if err := newcomer(ctx, target); err != nil {
						t.Fatalf("a new client after dead client %d: %v", i+1, err)
					}
				}
				keepsOnly(t, lis.Listener, 1)
				mark.Say("%d clients, with TLS too", silent)
			})
		}
	})
}

// errSpoke is that a client was killed too late.
var errSpoke = errors.New("the client had sent something before it was killed")

// A Go client that connects and closes.
func TestGoClientLeavesBeforeItsFirstByte(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		for _, v := range clientVariants[:2] {
			t.Run(v.name, func(t *testing.T) {
				mark := seen.RowOf(t, "leaves-silent-go", e.Name)
				pipe := testproc.PipeName()
				ctx := limited(t, time.Minute)
				lis := listen(t, pipe)
				s := e.NewTestServer(serverConfig(t, v))
				t.Cleanup(s.Stop)
				go s.Serve(lis) // ends with Stop
				target, _ := newTarget(t, e, pipe, v)
				mustPing(ctx, t, target.Conn)
				const clients = 200
				for range clients {
					if err := dial(t, pipe).Close(); err != nil {
						t.Fatal(err)
					}
				}
				mustPing(ctx, t, target.Conn)
				if err := newcomer(ctx, target); err != nil {
					t.Error(err)
				}
				keepsOnly(t, lis, 1)
				mark.Say("%d clients, with TLS too", clients)
			})
		}
	})
}

// .NET clients die at every moment of their connecting, and the server goes on
// serving whoever else is there or comes.
func TestDotNetClientLeavesBeforeItSpeaks(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "leaves-early", e.Name)
		pipe := testproc.PipeName()
		ctx := limited(t, 3*time.Minute)
		lis := tap(t, pipe)
		s := e.NewTestServer(fastgrpc.ServerConfig{})
		t.Cleanup(s.Stop)
		go s.Serve(lis) // ends with Stop
		cc := newConn(t, e, pipe)
		mustPing(ctx, t, cc)
		const clients = 5
		for i := range clients {
			before := len(lis.seen())
			bench := dotnetpeer.StartBench(ctx, t, pipe, "--connect", "--concurrency", "20", "--seconds", "30")
			testproc.Eventually(ctx, t, "the .NET client connects", func() bool { return len(lis.seen()) > before+i*7 })
			bench.Kill() // with connections in every state
			mustPing(ctx, t, cc)
			if err := once(t, e, pipe); err != nil {
				t.Errorf("a new client after dead client %d: %v", i+1, err)
			}
		}
		mark.Say("%d clients killed while connecting", clients)
	})
}

// newcomer makes one call on a channel of its own.
func newcomer(ctx context.Context, target interoptest.Target) error {
	cc, err := target.Dial()
	if err != nil {
		return err
	}
	return errors.Join(ping(ctx, cc), cc.Close())
}

// keepsOnly waits until n connections are left of all that were accepted.
func keepsOnly(t *testing.T, lis *namedpipe.Listener, n int) {
	t.Helper()
	// Less than the 10 s after which a silent client is cut: these are gone.
	testproc.Eventually(limited(t, 5*time.Second), t, "the server lets go of those who left", func() bool { return lis.Stats().Open == n })
}
