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

// A conn is a socket with what is known of its other end.
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
	// Package net has two errors for the context's deadline, which it may notice
	// before the context does.
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) {
		return conn{}, context.DeadlineExceeded
	}
	if ctx.Err() != nil {
		return conn{}, ctx.Err()
	}
	return conn{}, explainConnect(addr.path, bare(err))
}

// checkLink refuses to follow another user's symbolic link out of a folder in which
// other users can make files: the link's target, a server that the client trusts,
// would get what is meant for another. Linux does the same if fs.protected_symlinks is
// set, where it can't be raced; elsewhere this is the only check.
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
