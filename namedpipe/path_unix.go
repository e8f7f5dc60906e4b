//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

func parent(path string) string { return filepath.Dir(path) }

// clearPath makes sure that nothing is at path. It removes a socket of this user's
// on which no process listens; anything else there is an error.
func clearPath(path string, taken *knock) error {
	now, err := os.Lstat(path)
	switch {
	case isNowhere(err):
		return nil
	case err == nil && taken.early(now):
		return errTaken
	}
	defer lockFolder(path)()
	file, err := os.Lstat(path)
	switch {
	case isNowhere(err):
		return nil // bindSocket reports a missing folder
	case err != nil:
		return explain(err, "can't look at the socket's path", "check the permissions of its folder")
	case file.Mode()&fs.ModeSymlink != 0:
		return explainAs(syscall.EADDRINUSE, syscall.ELOOP, "a symbolic link is in the way", "remove it, or listen on the path it points to")
	case file.Mode()&fs.ModeSocket == 0:
		return explainAs(syscall.EADDRINUSE, fs.ErrExist, "a file that is not a socket is in the way", "remove it, or choose another name")
	}
	dead, err := probe(path)
	if err != nil {
		return err
	}
	if !dead {
		taken.note(file)
		return errTaken
	}
	if uid := ownerOf(file); uid != os.Geteuid() {
		return explainAs(syscall.EADDRINUSE, fs.ErrPermission, fmt.Sprintf("a dead socket of another user (uid %d) is in the way", uid), "that user, or root, must remove it")
	}
	if err := removeSame(path, idOf(file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

var errTaken = explain(syscall.EADDRINUSE, "another server is listening on this name", "stop it, or choose another name")

// isNowhere reports whether a path leads nowhere: to nothing, or through a file
// that is not a folder.
func isNowhere(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// A knock records the last probe of another server's socket. While Listen waits for
// the name, it checks at each try whether the file is still there, but connects to
// the server less and less often.
type knock struct {
	file  fileID
	pause time.Duration
	next  time.Time
}

const (
	knockPause     = 50 * time.Millisecond
	knockPauseMost = 400 * time.Millisecond
)

// early reports whether it is too early to probe the file's server again.
func (k *knock) early(file fs.FileInfo) bool {
	return idOf(file) == k.file && time.Now().Before(k.next)
}

// note records that the file's server is alive.
func (k *knock) note(file fs.FileInfo) {
	k.pause = min(2*k.pause, knockPauseMost)
	if idOf(file) != k.file {
		k.file, k.pause = idOf(file), knockPause
	}
	k.next = time.Now().Add(k.pause)
}

// probe reports whether no process listens on the socket at path.
func probe(path string) (dead bool, err error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	switch {
	case err == nil:
		c.Close()
		return false, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return true, nil
	case errors.Is(err, fs.ErrNotExist):
		return true, nil // it was just removed
	case errors.Is(err, syscall.EAGAIN):
		return false, nil // its backlog is full
	case errors.Is(err, fs.ErrPermission):
		return false, explainAs(syscall.EADDRINUSE, fs.ErrPermission, "a socket that this user may not use is in the way", "choose another name")
	}
	return false, explainAs(syscall.EADDRINUSE, bare(err), "can't find out whether another server is listening on this name", "choose another name")
}

// removeSame removes the file at path if it is the given one.
func removeSame(path string, file fileID) error {
	now, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if idOf(now) != file {
		return explain(syscall.EADDRINUSE, "another process has just taken this name", "choose another name")
	}
	if err := os.Remove(path); err != nil {
		return explain(bare(err), "can't remove the dead socket", "check the permissions of its folder")
	}
	return nil
}

// lockFolder keeps other listeners from removing dead sockets in the folder of path
// until unlock is called: a socket is found dead in one step and removed in another,
// and by then another server's live socket may be at the path. The lock is advisory,
// and whoever can read the folder can hold it, so the wait for it is limited; without
// it the race is only unlikely.
func lockFolder(path string) (unlock func()) {
	dir, err := os.Open(parent(path))
	if err != nil {
		return func() {}
	}
	for try := 0; try < 40; try++ {
		if syscall.Flock(int(dir.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			break
		}
		sleep(context.Background(), try)
	}
	return func() { dir.Close() }
}

func ownerOf(file fs.FileInfo) int {
	if st, ok := file.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid)
	}
	return -1
}
