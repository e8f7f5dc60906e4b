//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestWhereDotnetLooks: TMPDIR decides, at both ends.
func TestWhereDotnetLooks(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "np") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	t.Setenv("TMPDIR", dir)
	name := freshName(t)
	listen(t, name, namedpipe.ListenConfig{})
	file, err := os.Lstat(dir + "/CoreFxPipe_" + name)
	if err != nil {
		t.Fatal(err)
	}
	if file.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("its mode is %v", file.Mode())
	}
	c, err := net.Dial("unix", dir+"/CoreFxPipe_"+name)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// TestUmaskUntouched: the mode is right whatever the umask is, and the umask,
// which belongs to the whole process, stays.
func TestUmaskUntouched(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	file, err := os.Lstat(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if file.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v", file.Mode())
	}
	if now := syscall.Umask(0); now != 0 {
		t.Errorf("the umask is %o", now)
	}
}

// TestDeadSocket: what a killed server left is removed; nothing else ever is.
func TestDeadSocket(t *testing.T) {
	name := freshName(t)
	dead := helper(t, "serve", name)
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	if _, err := lc.Listen(t.Context(), name); !errors.Is(err, syscall.EADDRINUSE) {
		t.Fatalf("while the server lives: %v", err)
	}
	dead.Kill()
	_, err := namedpipe.Dial(t.Context(), name)
	if !errors.Is(err, syscall.ECONNREFUSED) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "gone") {
		t.Errorf("Dial of a dead socket: %v", err)
	}
	listen(t, name, lc)
}

// TestManyWantOneName: of servers that find a dead socket at the same moment
// one gets the name, and its socket stays.
func TestManyWantOneName(t *testing.T) {
	dir := t.TempDir() // of its own, for others have listeners in the usual one
	for i := range 20 {
		name := filepath.Join(dir, strconv.Itoa(i))
		addr, err := namedpipe.ResolveAddr(name)
		if err != nil {
			t.Fatal(err)
		}
		dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: addr.String(), Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		dead.SetUnlinkOnClose(false)
		dead.Close()
		var mu sync.Mutex
		var got []*namedpipe.Listener
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
				l, err := lc.Listen(t.Context(), name)
				switch {
				case err == nil:
					mu.Lock()
					got = append(got, l)
					mu.Unlock()
				case !errors.Is(err, syscall.EADDRINUSE):
					t.Errorf("%v", err)
				}
			})
		}
		wg.Wait()
		if len(got) != 1 {
			t.Fatalf("%d servers have the name", len(got))
		}
		c, err := namedpipe.Dial(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		got[0].Close()
		if _, err := os.Lstat(addr.String()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("after Close: %v", err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(dir, ".np*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestStrangersSocket: a dead socket of another user is neither used nor
// removed.
func TestStrangersSocket(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can give a file to another user")
	}
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{})
	path := l.Addr().String()
	file, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path + "x", Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	defer os.Remove(path + "x")
	if err := os.Lchown(path+"x", 65534, 65534); err != nil {
		t.Fatal(err)
	}
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	_, err = lc.Listen(t.Context(), name+"x")
	checkError(t, err, "listen", []error{fs.ErrPermission, syscall.EADDRINUSE}, false, "another user (uid 65534)")
	if _, err := os.Lstat(path + "x"); err != nil {
		t.Errorf("the stranger's socket: %v", err)
	}
	if now, err := os.Lstat(path); err != nil || !os.SameFile(now, file) {
		t.Errorf("the live socket: %v", err)
	}
}

// TestReplaced: somebody takes the path away. Accept says so within a second,
// for good; connections go on; the stranger's socket stays when we close.
func TestReplaced(t *testing.T) {
	for _, how := range []string{"replaced", "removed", "moved", "renamed over", "folder moved"} {
		t.Run(how, func(t *testing.T) {
			base, err := os.MkdirTemp("/tmp", "np")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(base) })
			dir := filepath.Join(base, "d")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(dir, "s")
			var log syncBuffer
			l := listen(t, name, namedpipe.ListenConfig{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			path := l.Addr().String()
			c, err := namedpipe.Dial(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			start := time.Now()
			switch how {
			case "replaced", "removed":
				err = os.Remove(path)
			case "moved":
				err = os.Rename(path, path+"x")
			case "folder moved":
				err = os.Rename(dir, dir+"x")
			}
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(how, "re") && how != "removed" {
				to := path
				if how == "renamed over" {
					to += "y"
				}
				stranger, err := net.Listen("unix", to)
				if err != nil {
					t.Fatal(err)
				}
				defer stranger.Close()
				if err := os.Rename(to, path); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 {
				_, err = l.Accept()
				checkError(t, err, "accept", []error{namedpipe.ErrReplaced, net.ErrClosed}, false, "another process")
			}
			if took := time.Since(start); took > time.Second {
				t.Errorf("noticed after %v", took)
			}
			if !strings.Contains(log.String(), path) {
				t.Errorf("the log says %q", log.String())
			}
			go s.Write([]byte("x"))
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Errorf("an open connection: %v", err)
			}
			if err := l.Close(); err != nil {
				t.Errorf("Close: %v", err)
			}
			if _, err := os.Lstat(path); (err == nil) != (how == "replaced" || how == "renamed over") {
				t.Errorf("after Close the path: %v", err)
			}
		})
	}
}

// TestNoRights: a folder that this user may not write to, and a socket that it
// may not use.
func TestNoRights(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may do everything; the case as another user is in TestAsNobody")
	}
	dir := t.TempDir()
	os.Chmod(dir, 0o500)
	_, err := namedpipe.Listen(t.Context(), dir+"/s")
	checkError(t, err, "listen", []error{fs.ErrPermission}, false, "folder of your own")
}

// TestAsNobody dials, as another user, a pipe that admits only this one.
func TestAsNobody(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become another user")
	}
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	out := asNobody(t, "dial", l.Addr().String())
	if !strings.Contains(out, "access denied") || !strings.Contains(out, "permission: true") {
		t.Errorf("the other user's Dial: %s", out)
	}
	out = asNobody(t, "listen", "/root/np.sock")
	if !strings.Contains(out, "permission: true") {
		t.Errorf("the other user's Listen: %s", out)
	}
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// TestFullBacklog: connect to a Unix socket whose backlog is full fails at once
// on Linux; Dial waits instead, and ends with its context.
func TestFullBacklog(t *testing.T) {
	name := freshName(t)
	addr, err := namedpipe.ResolveAddr(name)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: addr.String()}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		c, err := namedpipe.Dial(ctx, name)
		cancel()
		if err == nil {
			defer c.Close()
			if i > 10 {
				t.Fatal("the backlog is never full")
			}
			continue
		}
		checkError(t, err, "dial", []error{context.DeadlineExceeded}, true, "deadline")
		break
	}
	// One place free, and the next Dial gets it.
	nfd, _, err := syscall.Accept(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(nfd)
	c, err := namedpipe.Dial(soon(t), name)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}
