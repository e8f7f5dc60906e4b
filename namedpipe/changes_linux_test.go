package namedpipe

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

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
