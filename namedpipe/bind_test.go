//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// shortDir is a folder with a path that leaves room for a socket's name, which
// that of t.TempDir may not.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// filesIn are the names of what is in a folder.
func filesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		names = append(names, f.Name())
	}
	return names
}

// TestBindSocket: the path is never taken from another, nothing is left beside
// it, and the longest of paths works, be it the folder's or the socket's name
// that is long.
func TestBindSocket(t *testing.T) {
	dir := shortDir(t)
	room := pipename.MaxPath() - len(dir) - 1
	folder := dir + "/" + strings.Repeat("d", room-4)
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir + "/" + strings.Repeat("s", room), folder + "/abc", dir + "/s"} {
		if runtime.GOOS != "linux" && filepath.Dir(path) == folder {
			continue // no room for the private folder, and no shorter path of it
		}
		ln, file, err := bindSocket(path, &rule{gid: -1, mode: 0o600})
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if dead, err := probe(path); dead || err != nil {
			t.Errorf("nobody listens there: %v, %v", dead, err)
		}
		if now, err := os.Lstat(path); err != nil || idOf(now) != file || now.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("at the path: %v, %v", now, err)
		}
		if _, _, err := bindSocket(path, &rule{gid: -1, mode: 0o600}); !errors.Is(err, fs.ErrExist) {
			t.Errorf("a taken path: %v", err)
		}
		left := append(filesIn(t, dir), filesIn(t, folder)...)
		if slices.ContainsFunc(left, pipename.IsTemp) {
			t.Errorf("left behind: %q", left)
		}
	}
}

// TestBindUnderUmask: programs set the umask to narrow a socket's mode, and
// some the wrong way round.
func TestBindUnderUmask(t *testing.T) {
	for _, umask := range []int{0, 0o177, 0o377} {
		dir := shortDir(t)
		old := syscall.Umask(umask)
		ln, _, err := bindSocket(dir+"/s", &rule{gid: -1, mode: 0o660})
		syscall.Umask(old)
		if err != nil {
			t.Errorf("umask %03o: %v", umask, err)
			continue
		}
		ln.Close()
		if file, err := os.Lstat(dir + "/s"); err != nil || file.Mode() != fs.ModeSocket|0o660 {
			t.Errorf("umask %03o: %v, %v", umask, file.Mode(), err)
		}
	}
}

// TestNoHardLinks: where there are no hard links the socket gets its path by a
// rename that replaces nothing, and where there is no such rename the error says
// what is missing.
func TestNoHardLinks(t *testing.T) {
	defer func() { linkat = unix.Linkat }()
	linkat = func(int, string, int, string, int) error { return unix.EPERM }
	path := shortDir(t) + "/s"
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		_, err := Listen(t.Context(), path)
		if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "hard link") {
			t.Errorf("Listen: %v", err)
		}
		return
	}
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, _, err := bindSocket(path, &rule{gid: -1, mode: 0o600}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a taken path: %v", err)
	}
	c, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	if left := filesIn(t, filepath.Dir(path)); len(left) != 1 {
		t.Errorf("in the folder: %q", left)
	}
}

// TestTakenAtOnce: a stranger's socket that gets the path right after ours had it
// is not taken for ours: Accept notices, and Close leaves it where it is.
func TestTakenAtOnce(t *testing.T) {
	dir := shortDir(t)
	path := dir + "/s"
	stranger, err := net.Listen("unix", dir+"/t")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	defer func() { linkat = unix.Linkat }()
	linkat = func(olddir int, old string, newdir int, new string, flags int) error {
		return errors.Join(unix.Linkat(olddir, old, newdir, new, flags), os.Rename(dir+"/t", path))
	}
	l, err := Listen(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	l.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := l.Accept(); !errors.Is(err, ErrReplaced) {
		t.Errorf("Accept: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("the stranger's socket: %v", err)
	}
}

// TestSharedFolder: a folder in which other users could put a socket of theirs
// in place of ours is refused, and the sticky bit makes it good.
func TestSharedFolder(t *testing.T) {
	foreign := 70100
	for _, test := range []struct {
		mode fs.FileMode
		gid  int
		ok   bool
	}{
		{0o777, -1, false},
		{0o757, -1, false},
		{fs.ModeSticky | 0o777, -1, true},
		{0o755, -1, true},
		{0o775, os.Geteuid(), true},
		{0o770, foreign, false},
		{fs.ModeSetgid | 0o770, foreign, false},
		{fs.ModeSticky | 0o770, foreign, true},
		{0o750, foreign, true},
	} {
		t.Run(fmt.Sprint(test.mode, " ", test.gid), func(t *testing.T) {
			dir := shortDir(t)
			if err := os.Chown(dir, -1, test.gid); err != nil {
				t.Skip("only root can give a folder to any group:", err)
			}
			if err := os.Chmod(dir, test.mode); err != nil {
				t.Fatal(err)
			}
			l, err := Listen(t.Context(), dir+"/s")
			if err == nil {
				l.Close()
			}
			if test.ok && err != nil {
				t.Error(err)
			}
			if !test.ok && (!errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "other users can write to the folder "+dir)) {
				t.Errorf("Listen: %v", err)
			}
			if left := filesIn(t, dir); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// TestSweep: Listen removes what a process that was killed in Listen has left,
// and nothing else.
func TestSweep(t *testing.T) {
	dir := shortDir(t)
	fd, err := openFolder(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	long := time.Now().Add(-2 * sweepAge)
	half := func(age time.Time) *private { // what Listen has made when it is killed
		p, err := makePrivate(fd, dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(p.fd) })
		ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.path + "/s", Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		ln.SetUnlinkOnClose(false)
		ln.Close()
		if err := os.Chtimes(p.path, age, age); err != nil {
			t.Fatal(err)
		}
		return p
	}
	old, young, holds := half(long), half(time.Now()), half(long)
	if err := os.WriteFile(holds.path+"/file", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	os.Chtimes(holds.path, long, long)
	keep := []string{filepath.Base(young.path), filepath.Base(holds.path), ".npm", ".npipe"}
	for _, name := range keep[2:] {
		if err := os.Mkdir(dir+"/"+name, 0o700); err != nil {
			t.Fatal(err)
		}
		os.Chtimes(dir+"/"+name, long, long)
	}
	if os.Geteuid() == 0 {
		strangers := half(long)
		if err := os.Chown(strangers.path, 70001, -1); err != nil {
			t.Fatal(err)
		}
		keep = append(keep, filepath.Base(strangers.path))
	}
	l, err := Listen(t.Context(), dir+"/s")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	slices.Sort(keep)
	if left := filesIn(t, dir); !slices.Equal(left, keep) {
		t.Errorf("left are %q, want %q; the old one was %s", left, keep, old.path)
	}
	if _, err := os.Lstat(holds.path + "/file"); err != nil {
		t.Errorf("a file that is no socket: %v", err)
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
	if err := removeSame(now, idOf(file)); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("another's file: %v", err)
	}
	if b, err := os.ReadFile(now); string(b) != "live" {
		t.Errorf("another's file afterwards: %q, %v", b, err)
	}
	if err := removeSame(old, idOf(file)); err != nil {
		t.Errorf("the file itself: %v", err)
	}
	if _, err := os.Lstat(old); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file itself afterwards: %v", err)
	}
}
