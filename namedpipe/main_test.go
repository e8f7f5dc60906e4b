package namedpipe_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestMain fails when a test has left a goroutine behind.
func TestMain(m *testing.M) {
	if helper := os.Getenv("NAMEDPIPE_TEST_HELPER"); helper != "" {
		os.Exit(runHelper(helper))
	}
	code := m.Run()
	removePrograms()
	if code == 0 {
		if left := leftGoroutines(5 * time.Second); left != "" {
			fmt.Fprintf(os.Stderr, "goroutines left behind:\n%s\n", left)
			code = 1
		}
	}
	os.Exit(code)
}

// leftGoroutines waits for the goroutines of this module to end and returns the
// stacks of those that don't.
func leftGoroutines(patience time.Duration) string {
	for end := time.Now().Add(patience); ; runtime.Gosched() {
		buf := make([]byte, 1<<20)
		buf = buf[:runtime.Stack(buf, true)]
		var left []string
		for _, stack := range strings.Split(string(buf), "\n\n")[1:] {
			if strings.Contains(stack, "grpcpipe/namedpipe") && !strings.Contains(stack, "testing.(*M).Run") {
				left = append(left, stack)
			}
		}
		if len(left) == 0 {
			return ""
		}
		if time.Now().After(end) {
			return strings.Join(left, "\n\n")
		}
	}
}

// freshName returns a name that no other test and no other run uses. The
// socket, if one is left, is removed at the end of the test.
func freshName(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("np-%d-%x", os.Getpid(), time.Now().UnixNano())
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
