//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestKnocks: who waits for a name knocks at the door of the server that has it
// a few times, not at each try, and has the name as soon as it is free.
func TestKnocks(t *testing.T) {
	t.Parallel()
	path := shortDir(t) + "/s"
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	lc := ListenConfig{NameTakenTimeout: 600 * time.Millisecond}
	if _, err := lc.Listen(t.Context(), path); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen: %v", err)
	}
	if n := l.Stats().Accepted; n < 2 || n > 6 {
		t.Errorf("the live server was connected to %d times", n)
	}
	got := make(chan error, 1)
	lc.NameTakenTimeout = time.Minute
	go func() {
		l, err := lc.Listen(t.Context(), path)
		if err == nil {
			l.Close()
		}
		got <- err
	}()
	l.Close()
	if err := <-got; err != nil {
		t.Errorf("when the name was free: %v", err)
	}
}

// TestNotAFolder: a path through a file leads to no pipe, as one through a
// folder that isn't there.
func TestNotAFolder(t *testing.T) {
	t.Parallel()
	file := shortDir(t) + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), file+"/s"); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("Dial: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	d := Dialer{WaitForServer: true}
	if _, err := d.Dial(ctx, file+"/s"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Dial that waits: %v", err)
	}
	if _, err := Listen(t.Context(), file+"/s"); !errors.Is(err, syscall.ENOTDIR) || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("Listen: %v", err)
	}
}

// TestStrangersLink: a client follows a link in the pipe's place only if whoever
// made it may: its own user, root, or the only one who can.
func TestStrangersLink(t *testing.T) {
	const stranger = 70001
	if os.Geteuid() != 0 {
		t.Skip("only root can make another user's link")
	}
	t.Parallel()
	target := shortDir(t) + "/s"
	l, err := Listen(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, test := range []struct {
		folder fs.FileMode
		link   int // its owner
		ok     bool
	}{
		{fs.ModeSticky | 0o777, stranger, false},
		{fs.ModeSticky | 0o770, stranger, false},
		{0o777, stranger, false},
		{0o755, stranger, true},
		{fs.ModeSticky | 0o777, 0, true},
		{0o777, 0, true},
	} {
		dir := shortDir(t)
		if err := errors.Join(os.Chmod(dir, test.folder), os.Symlink(target, dir+"/s"), os.Lchown(dir+"/s", test.link, -1)); err != nil {
			t.Fatal(err)
		}
		c, err := Dial(t.Context(), dir+"/s")
		if err == nil {
			c.Close()
		}
		if test.ok && err != nil {
			t.Errorf("%v, link of %d: %v", test.folder, test.link, err)
		}
		if !test.ok && (!errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "symbolic link of another user (uid 70001)")) {
			t.Errorf("%v, link of %d: %v", test.folder, test.link, err)
		}
	}
}
