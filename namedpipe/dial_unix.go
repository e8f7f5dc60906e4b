//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const network = "unix"

// A conn is a socket with what has been asked about its other end.
type conn struct {
	*net.UnixConn
	cred *credentials
}

func newConn(c *net.UnixConn) conn { return conn{c, new(credentials)} }

func (d *Dialer) open(ctx context.Context, addr *Addr) (conn, error) {
	if err := checkLink(addr.path); err != nil {
		return conn{}, err
	}
	var nd net.Dialer
	c, err := nd.DialContext(ctx, "unix", addr.path)
	if err == nil {
		return newConn(c.(*net.UnixConn)), nil
	}
	// The context's deadline, seen before the context itself says so: package
	// net has two errors for it.
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return conn{}, context.DeadlineExceeded
	}
	if ctx.Err() != nil {
		return conn{}, ctx.Err()
	}
	return conn{}, explainConnect(addr.path, bare(err))
}

// checkLink refuses to follow another user's symbolic link out of a folder in
// which other users can make files: the link's target, a server that the client
// trusts, would get what is meant for another. It is what Linux does by itself
// with fs.protected_symlinks, and the only guard where that is off.
func checkLink(path string) error {
	var link, folder unix.Stat_t
	if unix.Lstat(path, &link) != nil || link.Mode&unix.S_IFMT != unix.S_IFLNK || link.Uid == 0 || int(link.Uid) == os.Geteuid() {
		return nil
	}
	if unix.Stat(parent(path), &folder) == nil && folder.Mode&unix.S_ISVTX == 0 && !othersWrite(&folder) {
		return nil
	}
	return explainAs(fs.ErrPermission, syscall.ELOOP, fmt.Sprintf("a symbolic link of another user (uid %d) is in the pipe's place", link.Uid),
		"remove it, or dial the path it points to")
}

func explainConnect(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, serr := os.Stat(parent(path)); serr != nil {
			return explain(err, "the folder "+parent(path)+" doesn't exist", "check that TMPDIR is the same at both ends")
		}
		return explain(err, "there is no such pipe", "start the server, or check that the name and TMPDIR are the same at both ends")
	case errors.Is(err, syscall.ENOTDIR):
		return explainAs(fs.ErrNotExist, err, "a part of the path before the socket's name is not a folder", "check the path, and that TMPDIR is the same at both ends")
	case errors.Is(err, syscall.ECONNREFUSED):
		if file, serr := os.Stat(path); serr == nil && file.Mode()&fs.ModeSocket == 0 {
			return explainAs(fs.ErrInvalid, err, "the file is not a socket", "check the name")
		}
		return explainAs(fs.ErrNotExist, err, "nobody listens on the socket: its server has gone without removing it", "start the server again")
	case errors.Is(err, syscall.EAGAIN):
		return explain(err, "the server's backlog is full", "it accepts too slowly or has stopped to")
	case errors.Is(err, fs.ErrPermission):
		return explain(err, "access denied: this user may not use the socket", "ask its owner, or run as the user that the server runs as")
	case errors.Is(err, syscall.EPROTOTYPE):
		return explainAs(fs.ErrInvalid, err, "the socket is not a stream socket", "check the name")
	}
	return explain(err, "can't connect", "")
}

// isBusy tells that a server is there and took no more connections just now:
// connect to a Unix socket with a full backlog doesn't wait on Linux.
func isBusy(err error) bool { return errors.Is(err, syscall.EAGAIN) }

// isMissing tells that there is no server yet, or no longer.
func isMissing(err error) bool {
	return isNowhere(err) || errors.Is(err, syscall.ECONNREFUSED)
}

// isPeerGone tells that the other end has closed the connection. A reset on
// read means that it did so before it had read all that was sent to it.
func isPeerGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}
