package namedpipe_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func dialError(ctx context.Context, name string) error {
	_, err := namedpipe.Dial(ctx, name)
	return err
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func late() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), -time.Second)
	cancel()
	return ctx
}

// callerErrors are the errors that a caller can meet.
var callerErrors = []struct {
	what    string
	make    func(t *testing.T) error
	op      string
	is      []error
	timeout bool
	says    string
	skip    string // the system it is not for
}{
	{what: "bad name", op: "dial", is: []error{fs.ErrInvalid}, says: "slash",
		make: func(t *testing.T) error { return dialError(t.Context(), "a/b") }},
	{what: "bad name to listen on", op: "listen", is: []error{fs.ErrInvalid}, says: "write the bare name",
		make: func(t *testing.T) error {
			_, err := namedpipe.Listen(t.Context(), `\\server\pipe\x`)
			return err
		}},
	{what: "bad name to resolve", op: "resolve", is: []error{fs.ErrInvalid}, says: "empty",
		make: func(t *testing.T) error { _, err := namedpipe.ResolveAddr(""); return err }},
	{what: "bad instances", op: "listen", is: []error{fs.ErrInvalid}, says: "from 1 to 62",
		make: func(t *testing.T) error {
			_, err := (&namedpipe.ListenConfig{Instances: 100}).Listen(t.Context(), freshName(t))
			return err
		}},
	{what: "bad buffer", op: "listen", is: []error{fs.ErrInvalid}, says: "BufferSize is -1",
		make: func(t *testing.T) error {
			_, err := (&namedpipe.ListenConfig{BufferSize: -1}).Listen(t.Context(), freshName(t))
			return err
		}},
	{what: "bad level", op: "dial", is: []error{fs.ErrInvalid}, says: "ImpersonationLevel is 9",
		make: func(t *testing.T) error {
			_, err := (&namedpipe.Dialer{ImpersonationLevel: 9}).Dial(t.Context(), freshName(t))
			return err
		}},
	{what: "no such pipe", op: "dial", is: []error{fs.ErrNotExist}, says: "start the server",
		make: func(t *testing.T) error { return dialError(t.Context(), freshName(t)) }},
	{what: "context ended", op: "dial", is: []error{context.Canceled}, says: "context canceled",
		make: func(t *testing.T) error { return dialError(canceled(), freshName(t)) }},
	{what: "context's deadline", op: "dial", is: []error{context.DeadlineExceeded}, timeout: true, says: "deadline",
		make: func(t *testing.T) error { return dialError(late(), freshName(t)) }},
	{what: "busy until the deadline", op: "dial", is: []error{context.DeadlineExceeded}, timeout: true, says: "accepts too slowly", skip: "a Unix backlog is thousands long",
		make: dialBusy},
	{what: "name taken", op: "listen", is: []error{syscall.EADDRINUSE}, says: "another server is listening",
		make: func(t *testing.T) error {
			name := freshName(t)
			listen(t, name, namedpipe.ListenConfig{})
			_, err := (&namedpipe.ListenConfig{NameTakenTimeout: -1}).Listen(t.Context(), name)
			return err
		}},
	{what: "listener closed", op: "accept", is: []error{net.ErrClosed}, says: "use of closed",
		make: func(t *testing.T) error {
			l := listen(t, freshName(t), namedpipe.ListenConfig{})
			l.Close()
			_, err := l.Accept()
			return err
		}},
	{what: "closed twice", op: "close", is: []error{net.ErrClosed}, says: "use of closed",
		make: func(t *testing.T) error {
			l := listen(t, freshName(t), namedpipe.ListenConfig{})
			l.Close()
			return l.Close()
		}},
	{what: "accept's deadline", op: "accept", is: []error{os.ErrDeadlineExceeded}, timeout: true, says: "timeout",
		make: func(t *testing.T) error {
			l := listen(t, freshName(t), namedpipe.ListenConfig{})
			l.SetDeadline(time.Unix(1, 0))
			_, err := l.Accept()
			return err
		}},
	{what: "read's deadline", op: "read", is: []error{os.ErrDeadlineExceeded}, timeout: true, says: "timeout",
		make: func(t *testing.T) error {
			c, _ := pair(t)
			c.SetReadDeadline(time.Unix(1, 0))
			_, err := c.Read(make([]byte, 1))
			return err
		}},
	{what: "write's deadline", op: "write", is: []error{os.ErrDeadlineExceeded}, timeout: true, says: "timeout",
		make: func(t *testing.T) error {
			c, _ := pair(t)
			c.SetWriteDeadline(time.Unix(1, 0))
			_, err := c.Write(make([]byte, 1))
			return err
		}},
	{what: "peer gone", op: "write", is: []error{syscall.EPIPE}, says: "dial again",
		make: func(t *testing.T) error {
			c, s := pair(t)
			s.Close()
			_, err := c.Write(make([]byte, 1))
			return err
		}},
	{what: "read of a closed connection", op: "read", is: []error{net.ErrClosed}, says: "use of closed",
		make: func(t *testing.T) error {
			c, _ := pair(t)
			c.Close()
			_, err := c.Read(make([]byte, 1))
			return err
		}},
	{what: "deadline of a closed connection", op: "set", is: []error{net.ErrClosed}, says: "use of closed",
		make: func(t *testing.T) error { c, _ := pair(t); c.Close(); return c.SetDeadline(time.Time{}) }},
}

// TestErrors holds every error a caller can meet against what it must match,
// whether it is a time-out, and what its text must say.
func TestErrors(t *testing.T) {
	for _, test := range callerErrors {
		t.Run(test.what, func(t *testing.T) {
			if test.skip != "" && runtime.GOOS != "windows" {
				t.Skip(test.skip)
			}
			checkError(t, test.make(t), test.op, test.is, test.timeout, test.says)
		})
	}
}

// checkError holds an error against the rules that all of them follow.
func checkError(t *testing.T, err error, op string, is []error, timeout bool, says string) {
	t.Helper()
	var oe *net.OpError
	if !errors.As(err, &oe) {
		t.Fatalf("%v is a %T", err, err)
	}
	network := "unix"
	if runtime.GOOS == "windows" {
		network = "pipe"
	}
	if oe.Op != op || oe.Net != network || oe.Addr == nil || oe.Timeout() != timeout {
		t.Errorf("%v: Op %s, Net %s, Addr %v, Timeout %v", err, oe.Op, oe.Net, oe.Addr, oe.Timeout())
	}
	for _, target := range is {
		if !errors.Is(err, target) {
			t.Errorf("%v doesn't match %v", err, target)
		}
	}
	if !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), oe.Addr.String()) {
		t.Errorf("%q doesn't say %q or the address %q", err, says, oe.Addr)
	}
}

func dialBusy(t *testing.T) error {
	l := listen(t, freshName(t), namedpipe.ListenConfig{Instances: 1})
	for {
		// Instances, the queue and what is on its way between them fill up.
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		c, err := namedpipe.Dial(ctx, l.Addr().String())
		cancel()
		if err != nil {
			return err
		}
		defer c.Close()
	}
}

// TestPathErrors are the errors that only a socket's path can have.
func TestPathErrors(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pipes have no files on Windows")
	}
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	os.WriteFile(at("file"), []byte("precious"), 0o600)
	os.Symlink("nowhere", at("link"))
	os.Mkdir(at("folder"), 0o700)
	os.WriteFile(at("blocker"), nil, 0o600)
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	for _, test := range []struct {
		path string
		is   []error
		says string
	}{
		{at("file"), []error{syscall.EADDRINUSE, fs.ErrExist}, "not a socket"},
		{at("folder"), []error{syscall.EADDRINUSE, fs.ErrExist}, "not a socket"},
		{at("link"), []error{syscall.EADDRINUSE, syscall.ELOOP}, "symbolic link"},
		{at("missing/x"), []error{fs.ErrNotExist}, "doesn't exist"},
		{at("blocker/x"), []error{syscall.ENOTDIR}, "blocker is not a folder"},
		{at(strings.Repeat("x", 120)), []error{fs.ErrInvalid}, "shorter"},
	} {
		_, err := lc.Listen(t.Context(), test.path)
		if err == nil {
			t.Errorf("%s: no error", test.path)
			continue
		}
		checkError(t, err, "listen", test.is, false, test.says)
	}
	if b, err := os.ReadFile(at("file")); string(b) != "precious" {
		t.Errorf("the file that was in the way: %q, %v", b, err)
	}
	for path, want := range map[string]error{at("file"): fs.ErrInvalid, at("none"): fs.ErrNotExist, at("missing/x"): fs.ErrNotExist} {
		_, err := namedpipe.Dial(t.Context(), path)
		checkError(t, err, "dial", []error{want}, false, path)
	}
}
