//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	// adopt serves its process id to each client on descriptor 3.
	programs["adopt"] = func() {
		l, err := new(namedpipe.ListenConfig).FileListener(os.Args[1], os.NewFile(3, "socket"))
		sayPid(l, err)
	}
	// activated does so on what systemd is said to have passed on.
	programs["activated"] = func() {
		pid := os.Getpid()
		if os.Args[2] == "another's" {
			pid++
		}
		os.Setenv("LISTEN_PID", strconv.Itoa(pid))
		os.Setenv("LISTEN_FDS", "2")
		lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
		l, err := lc.Listen(context.Background(), os.Args[1])
		if os.Args[2] == "twice" && err == nil {
			l.Close()
			l, err = lc.Listen(context.Background(), os.Args[1])
		}
		sayPid(l, err)
	}
}

func sayPid(l *namedpipe.Listener, err error) {
	if err != nil {
		fmt.Printf("taken: %v %v\n", errors.Is(err, syscall.EADDRINUSE), err)
		return
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		l.Close()
	}()
	fmt.Println("ready")
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		fmt.Fprintln(c, os.Getpid())
		c.Close()
	}
}

// startWith starts one of the programs with files from descriptor 3 on.
func startWith(t *testing.T, files []*os.File, program string, args ...string) *testproc.Process {
	t.Helper()
	cmd, err := testproc.Self(t.Context(), program, args...)
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = files
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func exists(t *testing.T, name string) bool {
	t.Helper()
	addr, err := namedpipe.ResolveAddr(name)
	if err != nil {
		t.Fatal(err)
	}
	_, err = os.Lstat(addr.String())
	return err == nil
}

// TestFilePassedOn: a client in the backlog is served by the next process, the
// socket's file outlives both listeners, and Listen finds it dead in the end.
func TestFilePassedOn(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{})
	f, err := l.File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	early, err := namedpipe.Dial(soon(t), name)
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	l.Close()
	next := startWith(t, []*os.File{f}, "adopt", name)
	if _, err := next.WaitLine(soon(t), "ready"); err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscanln(early, &pid); err != nil || pid != next.Pid() {
		t.Errorf("who waited while servers changed was answered by %d (%v), not by %d", pid, err, next.Pid())
	}
	if _, pid := whoAnswers(t, name); pid != next.Pid() {
		t.Errorf("answered by %d, not by %d", pid, next.Pid())
	}
	f.Close()
	next.CloseStdin()
	if err := next.Wait(soon(t)); err != nil {
		t.Error(err)
	}
	if !exists(t, name) {
		t.Error("the socket's file is gone")
	}
	listen(t, name, namedpipe.ListenConfig{NameTakenTimeout: -1})
}

// TestActivated: a socket that systemd has made at the path is used, again and
// again, and only by the process that it is meant for.
func TestActivated(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		how string
		ok  bool
	}{{"once", true}, {"twice", true}, {"another's", false}} {
		name := freshName(t)
		addr, err := namedpipe.ResolveAddr(name)
		if err != nil {
			t.Fatal(err)
		}
		systemd, err := net.ListenUnix("unix", &net.UnixAddr{Name: addr.String(), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		defer systemd.Close()
		f, err := systemd.File()
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		null, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		defer null.Close()
		p := startWith(t, []*os.File{null, f}, "activated", name, test.how)
		if !test.ok {
			if _, err := p.WaitLine(soon(t), "taken: true"); err != nil {
				t.Errorf("%s: %v", test.how, err)
			}
			continue
		}
		if _, err := p.WaitLine(soon(t), "ready"); err != nil {
			t.Fatalf("%s: %v", test.how, err)
		}
		if _, pid := whoAnswers(t, name); pid != p.Pid() {
			t.Errorf("%s: answered by %d, not by %d", test.how, pid, p.Pid())
		}
		p.CloseStdin()
		if err := p.Wait(soon(t)); err != nil {
			t.Error(err)
		}
		if !exists(t, name) {
			t.Errorf("%s: Close has removed systemd's socket", test.how)
		}
	}
}

func TestFileListenerErrors(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	regular, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer regular.Close()
	fileOf := func(l interface{ File() (*os.File, error) }) *os.File {
		f, err := l.File()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	tcp, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	l := listen(t, name, namedpipe.ListenConfig{})
	client, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	good := fileOf(l)
	for _, test := range []struct {
		what, name string
		file       *os.File
		is         error
	}{
		{"a regular file", name, regular, fs.ErrInvalid},
		{"a TCP listener", name, fileOf(tcp), fs.ErrInvalid},
		{"a connection", name, fileOf(client.(*net.UnixConn)), fs.ErrInvalid},
		{"a name without a file", freshName(t), good, fs.ErrNotExist},
		{"a name that is a file", regular.Name(), good, fs.ErrInvalid},
		{"a bad name", "a/b", good, fs.ErrInvalid},
	} {
		l, err := new(namedpipe.ListenConfig).FileListener(test.name, test.file)
		if !errors.Is(err, test.is) {
			t.Errorf("%s: %v", test.what, err)
		}
		if err == nil {
			l.Close()
		}
	}
	l.Close()
	if _, err := l.File(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("File of a closed listener: %v", err)
	}
}
