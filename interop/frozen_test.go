package interop_test

import (
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Kestrel's process is stopped: the system still accepts its connections and
// nothing answers. The call ends with the connect time-out of 5 s, not with
// grpc-go's 20, and says what was missing. Once Kestrel goes on, so do calls.
func TestKestrelThatNeverAnswers(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "never-answers", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		server := dotnetpeer.StartServer(t, pipe)
		if err := server.Freeze(); err != nil {
			t.Fatal(err)
		}
		ctx := limited(t, time.Minute)
		cc := newConn(t, e, pipe)
		start := time.Now()
		err := ping(ctx, cc)
		took := time.Since(start)
		wantError(t, err, codes.Unavailable, "accepted the connection but sent nothing in 5s", pipe)
		if took < 4*time.Second || took > 9*time.Second {
			t.Errorf("the error took %v, want 5 s", took)
		}
		if err := server.Thaw(); err != nil {
			t.Fatal(err)
		}
		mustPing(ctx, t, cc, grpc.WaitForReady(true))
		mark.Say("ends after %.0f s", took.Seconds())
	})
}

// withPings is the keep-alive that ends calls to a server that has stopped
// answering. 10 s is the shortest time that grpc-go takes.
var withPings = fastgrpc.ClientConfig{KeepAlive: keepalive.ClientParameters{Time: 10 * time.Second, Timeout: time.Second}}

// Kestrel's process is stopped in the middle of a call. Nothing but keep-alive
// pings can tell that from a slow answer.
func TestKestrelFallsSilent(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "falls-silent", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		server := dotnetpeer.StartServer(t, pipe)
		ctx := limited(t, 2*time.Minute)
		cc := newConnWith(t, e, pipe, withPings)
		stream, err := hold(ctx, cc)
		if err != nil {
			t.Fatal(err)
		}
		if err := server.Freeze(); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = stream.Recv()
		took := time.Since(start)
		wantError(t, err, codes.Unavailable, "keepalive ping failed")
		if took > 30*time.Second {
			t.Errorf("the error took %v, want about 11 s", took)
		}
		if err := server.Thaw(); err != nil {
			t.Fatal(err)
		}
		mustPing(ctx, t, cc, grpc.WaitForReady(true))
		mark.Say("ends after %.0f s", took.Seconds())
	})
}

// A server that sends its SETTINGS and then nothing at all: connecting
// succeeds, so the connect time-out has done its duty. Without a deadline a
// call would wait for ever; keep-alive pings end it.
func TestServerOfSettingsOnly(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		mark := seen.RowOf(t, "settings-only", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		lis, err := namedpipe.Listen(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			for {
				c, err := lis.Accept()
				if err != nil {
					return
				}
				go settingsOnly(c)
			}
		}()
		t.Cleanup(func() { lis.Close(); <-done })
		ctx := limited(t, 2*time.Minute)
		cc := newConnWith(t, e, pipe, withPings)
		start := time.Now()
		err = ping(ctx, cc)
		took := time.Since(start)
		wantError(t, err, codes.Unavailable, "keepalive ping failed")
		if took < 9*time.Second || took > 30*time.Second {
			t.Errorf("the error took %v, want about 11 s", took)
		}
		mark.Say("ends after %.0f s", took.Seconds())
	})
}

// settingsOnly sends an empty SETTINGS frame and reads until the client goes.
func settingsOnly(c net.Conn) {
	defer c.Close()
	if _, err := c.Write([]byte{0, 0, 0, 4, 0, 0, 0, 0, 0}); err == nil {
		io.Copy(io.Discard, c) // ends with the client
	}
}
