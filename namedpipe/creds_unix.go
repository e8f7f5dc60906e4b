//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import "net"

// credentials are what the kernel tells of the process at the other end. They
// were taken when it connected or, seen from a client, when the server began to
// listen.
type credentials struct {
	pid, uid int
	groups   []int
	proven   bool   // pid is of the very process that connected, which still runs
	program  string // the path of its executable, if it can be had
}

func control(c *net.UnixConn, f func(fd int) error) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := rc.Control(func(fd uintptr) { ferr = f(int(fd)) }); err != nil {
		return err
	}
	return ferr
}
