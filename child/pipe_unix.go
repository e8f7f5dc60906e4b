//go:build unix

package child

import (
	"os"
	"path/filepath"
	"syscall"
)

const (
	dirPrefix = "grpcpipe-child-"
	// longestDir leaves room for the names of the sockets: the path of a Unix
	// socket has at most 104 bytes on the BSDs.
	longestDir = 80
)

// A privateDir is a directory that only this user can enter. It is locked while
// this process lives, so that a later process can recognize directories whose
// parent was killed.
type privateDir struct {
	path string
	lock *os.File
}

// randomPipe returns the path of a socket in a directory of its own, which the
// caller removes.
func randomPipe() (string, *privateDir, error) {
	base := socketBase()
	removeAbandoned(base)
	for {
		path, err := os.MkdirTemp(base, dirPrefix)
		if err != nil {
			return "", nil, err
		}
		lock, err := lockDir(path)
		if err != nil {
			os.Remove(path)
			return "", nil, err
		}
		if lock == nil {
			continue // another process took it for abandoned in between
		}
		return filepath.Join(path, "child"), &privateDir{path: path, lock: lock}, nil
	}
}

// socketBase returns the directory for the private directories: the user's own
// runtime directory, which the system empties, or a temporary one.
func socketBase() string {
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir()} {
		if info, err := os.Stat(dir); err == nil && info.IsDir() && filepath.IsAbs(dir) && len(dir) < longestDir-len(dirPrefix)-10 {
			return dir
		}
	}
	return "/tmp"
}

// lockDir locks a directory, or returns nil if somebody else has or it is gone.
func lockDir(path string) (*os.File, error) {
	d, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	opened, err := d.Stat()
	if err == nil {
		err = syscall.Flock(int(d.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		var now os.FileInfo
		if now, err = os.Lstat(path); err == nil && os.SameFile(opened, now) {
			return d, nil
		}
	}
	d.Close()
	if err == syscall.EWOULDBLOCK || os.IsNotExist(err) {
		err = nil
	}
	return nil, err
}

// removeAbandoned removes the directories of this user's processes that were
// killed before they could.
func removeAbandoned(base string) {
	found, _ := filepath.Glob(filepath.Join(base, dirPrefix+"*"))
	for _, path := range found {
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || int(stat.Uid) != os.Geteuid() || !info.IsDir() {
			continue
		}
		if lock, err := lockDir(path); err == nil && lock != nil {
			(&privateDir{path: path, lock: lock}).remove()
		}
	}
}

func (d *privateDir) remove() {
	os.RemoveAll(d.path)
	d.lock.Close()
}
