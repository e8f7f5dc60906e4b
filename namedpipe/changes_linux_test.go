package namedpipe

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestOneInotifyInstance: all listeners of a process share one of the 128 that
// the system gives a user.
func TestOneInotifyInstance(t *testing.T) {
	dir := shortDir(t)
	for i := range 50 {
		l, err := Listen(t.Context(), fmt.Sprintf("%s/%d", dir, i))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
	}
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, fd := range fds {
		if to, _ := os.Readlink("/proc/self/fd/" + fd.Name()); to == "anon_inode:inotify" {
			n++
		}
	}
	if n < 1 || n > 2 { // the one of an earlier test may just be closing
		t.Errorf("50 listeners have %d inotify instances", n)
	}
}

// TestReplacedFurtherUp: what becomes of the path elsewhere than at the file and
// its folder is not told of, and noticed all the same.
func TestReplacedFurtherUp(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		path string
		do   func(t *testing.T, top string) error
	}{
		{"the folder is moved", "a/b/s", func(t *testing.T, top string) error { return os.Rename(top+"/a/b", top+"/a/c") }},
		{"a file takes the folder's place", "a/b/s", func(t *testing.T, top string) error {
			return errors.Join(os.Rename(top+"/a/b", top+"/a/c"), os.WriteFile(top+"/a/b", nil, 0o600))
		}},
		{"the folder above is moved", "a/b/s", func(t *testing.T, top string) error { return os.Rename(top+"/a", top+"/x") }},
		{"a link in the path is turned", "current/s", func(t *testing.T, top string) error {
			return errors.Join(os.Mkdir(top+"/new", 0o700), os.Symlink(top+"/new", top+"/tmp"), os.Rename(top+"/tmp", top+"/current"))
		}},
		{"a mount over the folder", "a/b/s", func(t *testing.T, top string) error {
			if err := unix.Mount("tmpfs", top+"/a/b", "tmpfs", 0, ""); err != nil {
				t.Skip("only root can mount:", err)
			}
			t.Cleanup(func() { unix.Unmount(top+"/a/b", unix.MNT_DETACH) })
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			top := shortDir(t)
			if err := errors.Join(os.MkdirAll(top+"/a/b", 0o700), os.Symlink(top+"/a/b", top+"/current")); err != nil {
				t.Fatal(err)
			}
			l, err := Listen(t.Context(), top+"/"+test.path)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			// Connections give the listener the time to look once.
			for range 20 {
				c, err := Dial(t.Context(), l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				c.Close()
				s, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
			}
			if err := test.do(t, top); err != nil {
				t.Fatal(err)
			}
			l.SetDeadline(time.Now().Add(slowLook + 10*time.Second))
			if _, err := l.Accept(); !errors.Is(err, ErrReplaced) {
				t.Errorf("Accept: %v", err)
			}
		})
	}
}

// TestReplacedWithoutWatches: where the user has no watches left, the listener
// looks by itself.
func TestReplacedWithoutWatches(t *testing.T) {
	asked := false
	inotify = func(int) (int, error) { asked = true; return -1, unix.EMFILE }
	defer func() { inotify = unix.InotifyInit1 }()
	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := Listen(t.Context(), filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	// Connections give the listener the time to look once: only its later
	// looks are in question.
	for range 20 {
		c, err := Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		s.Close()
	}
	l.SetDeadline(time.Now().Add(10 * time.Second))
	if err := os.Remove(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Accept(); !errors.Is(err, ErrReplaced) || !asked {
		t.Errorf("Accept after the file was removed: %v; inotify was asked for: %v", err, asked)
	}
}
