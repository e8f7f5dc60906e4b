package namedpipe_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, programs) }

// freshName returns a name that no other test and no other run uses. The
// socket, if one is left, is removed at the end of the test.
func freshName(t testing.TB) string {
	t.Helper()
	name := testproc.PipeName()
	t.Cleanup(func() {
		if a, err := namedpipe.ResolveAddr(name); err == nil && a.Network() == "unix" {
			os.Remove(a.String())
		}
	})
	return name
}

func listen(t testing.TB, name string, lc namedpipe.ListenConfig) *namedpipe.Listener {
	t.Helper()
	l, err := lc.Listen(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// pair returns both ends of a new connection; the test closes them at its end.
func pair(t testing.TB) (server, client *namedpipe.Conn) {
	t.Helper()
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	client, err := namedpipe.Dial(t.Context(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

// soon is a context for steps that must not take long.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}
