package inspect

import (
	"os"
	"strings"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestStates: a pipe is known to be listened on by its socket, however long its
// path, and no longer once its server is gone.
func TestStates(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	t.Setenv("TMPDIR", dir)
	for _, name := range []string{"short", strings.Repeat("n", pipename.MaxPath()-len(dir+"/"+pipename.DotNetPrefix))} {
		l, err := namedpipe.Listen(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		state := func() string {
			pipes, err := Pipes(name)
			if err != nil || len(pipes) != 1 {
				t.Fatal(pipes, err)
			}
			return pipes[0].State
		}
		if s := state(); s != Listening {
			t.Errorf("%s is %s", name, s)
		}
		f, err := l.File() // so that Close leaves the socket's file
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		l.Close()
		if s := state(); s != Stale {
			t.Errorf("%s without a server is %s", name, s)
		}
	}
}
