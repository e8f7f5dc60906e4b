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

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// bindSocket makes the socket at path and returns its identity. Whoever can see the
// socket finds it listening and with the rule's mode and group: a socket that is
// bound but doesn't listen yet looks like a dead one, and the mode that bind gives
// depends on the umask, which belongs to the whole process. So the socket is made in
// a private folder, where nobody can replace it, and changed only through that
// folder's descriptor. Its identity is taken before it gets its path, where another
// process can replace it.
func bindSocket(path string, r *rule) (_ *net.UnixListener, _ fileID, err error) {
	folder, err := openFolder(parent(path))
	if err != nil {
		return nil, fileID{}, err
	}
	defer unix.Close(folder)
	sweep(folder)
	p, err := makePrivate(folder, parent(path))
	if err != nil {
		return nil, fileID{}, err
	}
	defer p.remove()
	address, name := p.address(filepath.Base(path))
	if len(address) > pipename.MaxPath() {
		return nil, fileID{}, syscall.ENAMETOOLONG
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), "unix", address)
	if err != nil {
		return nil, fileID{}, err
	}
	ln := l.(*net.UnixListener)
	ln.SetUnlinkOnClose(false) // close removes only a file that is still ours
	defer func() {
		if err != nil {
			ln.Close()
		}
	}()
	var st unix.Stat_t
	if err := unix.Fstatat(p.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, fileID{}, explainAs(errNameTaken, err, "another process has moved the folder in which the socket is made", "listen again, or choose a folder of your own")
	}
	if err := r.apply(p.fd, name); err != nil {
		return nil, fileID{}, err
	}
	return ln, fileID{uint64(st.Dev), uint64(st.Ino)}, p.publish(name, filepath.Base(path))
}

// openFolder opens the folder for the socket. It refuses a folder in which other
// users can replace the socket.
func openFolder(path string) (fd int, err error) {
	fd, err = unix.Open(path, openSearch|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && st.Mode&unix.S_ISVTX == 0 && othersWrite(&st) {
		err = explainAs(fs.ErrPermission, unix.EPERM,
			fmt.Sprintf("other users can write to the folder %s (mode %04o, not sticky) and put a socket of their own in this one's place", path, st.Mode&0o7777),
			"choose a folder of your own, or have its owner set the sticky bit (chmod +t)")
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// othersWrite reports whether users other than this one, the folder's owner and root
// can make and rename files in a folder. A group that has this user's number or name
// is taken for one that the system made for this user alone.
func othersWrite(folder *unix.Stat_t) bool {
	switch {
	case folder.Mode&0o002 != 0:
		return true
	case folder.Mode&0o020 == 0 || int(folder.Gid) == os.Geteuid():
		return false
	}
	g, err := lookupGroup(fmt.Sprint(folder.Gid))
	return err != nil || g.Name == "" || g.Name != userOf(os.Geteuid()).Name
}

// private is a folder that only this user can enter.
type private struct {
	fd     int // of the folder itself
	folder int // of the one that it is in
	path   string
}

func makePrivate(folder int, path string) (*private, error) {
	for {
		name := pipename.Temp()
		err := unix.Mkdirat(folder, name, 0o700)
		if errors.Is(err, unix.EEXIST) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p, err := openPrivate(folder, filepath.Join(path, name))
		if err != nil {
			unix.Unlinkat(folder, name, unix.AT_REMOVEDIR)
			return nil, explainAs(errNameTaken, err, "can't enter the folder in which the socket is made", "listen again, or choose a folder of your own")
		}
		return p, nil
	}
}

// openPrivate opens a private folder of this user's.
func openPrivate(folder int, path string) (*private, error) {
	fd, err := unix.Openat(folder, filepath.Base(path), unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	if err = unix.Fstat(fd, &st); err == nil && int(st.Uid) != os.Geteuid() {
		err = unix.EPERM
	}
	if err == nil && st.Mode&0o777 != 0o700 { // the umask has taken some away
		err = unix.Fchmod(fd, 0o700)
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &private{fd: fd, folder: folder, path: path}, nil
}

// address returns where to bind the socket in the folder and its name there. Tools
// show the name, so it is base if that fits into a socket's address.
func (p *private) address(base string) (address, name string) {
	for _, name := range []string{base, pipename.ShortName} {
		if address := p.path + "/" + name; len(address) <= pipename.MaxPath() {
			return address, name
		}
	}
	return p.shortPath() + "/" + pipename.ShortName, pipename.ShortName
}

// publish gives the socket its path with a link, which, unlike a rename, fails if
// another server has taken the path in the meantime.
func (p *private) publish(name, base string) error {
	err := linkat(p.fd, name, p.folder, base, 0)
	if err == nil || errors.Is(err, unix.EEXIST) {
		return err
	}
	// Some file systems don't have hard links, and some security profiles forbid
	// them.
	rerr := renameNoReplace(p.fd, name, p.folder, base)
	if rerr == nil || errors.Is(rerr, unix.EEXIST) {
		return rerr
	}
	return explain(err, "can't give the socket its name by a hard link in "+filepath.Dir(p.path), "the file system or a security profile forbids it: choose another folder")
}

var linkat = unix.Linkat // replaced by a test

// remove removes the folder and the sockets in it.
func (p *private) remove() {
	f := os.NewFile(uintptr(p.fd), p.path)
	defer f.Close()
	names, _ := f.Readdirnames(-1)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(p.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && st.Mode&unix.S_IFMT == unix.S_IFSOCK {
			unix.Unlinkat(p.fd, name, 0)
		}
	}
	unix.Unlinkat(p.folder, filepath.Base(p.path), unix.AT_REMOVEDIR)
}

const (
	// sweepMost bounds the cost of a sweep in a large folder.
	sweepMost = 4096
	// sweepAge is far longer than a private folder exists during Listen.
	sweepAge = time.Minute
)

// sweep removes private folders left by processes that were killed during Listen.
func sweep(folder int) {
	fd, err := unix.Openat(folder, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	f := os.NewFile(uintptr(fd), "folder")
	defer f.Close()
	names, _ := f.Readdirnames(sweepMost)
	for _, name := range names {
		var st unix.Stat_t
		if !pipename.IsTemp(name) || unix.Fstatat(folder, name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil ||
			int(st.Uid) != os.Geteuid() || time.Since(time.Unix(st.Mtim.Unix())) < sweepAge {
			continue
		}
		if p, err := openPrivate(folder, name); err == nil {
			p.remove()
		}
	}
}

// apply gives the socket the rule's mode and group.
func (r *rule) apply(folder int, name string) error {
	if r.gid >= 0 {
		if err := unix.Fchownat(folder, name, -1, r.gid, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return explain(err, fmt.Sprintf("can't give the socket to group %d", r.gid), "a user can give a file only to groups of its own")
		}
	}
	return unix.Fchmodat(folder, name, uint32(r.mode), 0)
}

// fileID identifies a file among all that exist at the same time.
type fileID struct{ dev, ino uint64 }

func idOf(file fs.FileInfo) fileID {
	st := file.Sys().(*syscall.Stat_t)
	return fileID{uint64(st.Dev), uint64(st.Ino)}
}
