//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestBindInFolder runs on Linux too the way that other Unix systems go.
func TestBindInFolder(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ln, inside, err := bindInFolder(dir + "/s")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	file, err := os.Lstat(inside)
	if err != nil || file.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("%v, %v", file.Mode(), err)
	}
	folder, err := os.Lstat(filepath.Dir(inside))
	if err != nil || folder.Mode() != fs.ModeDir|0o700 {
		t.Errorf("%v, %v", folder.Mode(), err)
	}
}

// TestBindSocket: the path is never taken from another, nothing is left beside
// it, and the longest of paths works.
func TestBindSocket(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := dir + "/" + strings.Repeat("s", maxSocketPath()-len(dir)-1)
	ln, err := bindSocket(path, &rule{gid: -1, mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if dead, err := probe(path); dead || err != nil {
		t.Errorf("nobody listens there: %v, %v", dead, err)
	}
	if _, err := bindSocket(path, &rule{gid: -1, mode: 0o600}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a taken path: %v", err)
	}
	if left, _ := filepath.Glob(dir + "/.np*"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// TestRemoveSame: a socket that took the path between the look and the removal
// stays where it is.
func TestRemoveSame(t *testing.T) {
	dir := t.TempDir()
	old, now := dir+"/old", dir+"/now"
	os.WriteFile(old, nil, 0o600)
	os.WriteFile(now, []byte("live"), 0o600)
	file, err := os.Lstat(old)
	if err != nil {
		t.Fatal(err)
	}
	if err := removeSame(now, file); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("another's file: %v", err)
	}
	if b, err := os.ReadFile(now); string(b) != "live" {
		t.Errorf("another's file afterwards: %q, %v", b, err)
	}
	if err := removeSame(old, file); err != nil {
		t.Errorf("the file itself: %v", err)
	}
	if _, err := os.Lstat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file itself afterwards: %v", err)
	}
}
