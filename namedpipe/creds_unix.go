//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import "net"

// credentials are what the kernel tells of the process at the other end. They
// were taken when it connected or, seen from a client, when the server began to
// listen.
type credentials struct {
	asked    bool
	pid, uid int
	groups   []int
	// Of the process, once it was asked for.
	proven  bool   // pid is of the very process that connected, which still runs
	program string // the path of its executable, if it can be had
	birth   uint64 // see Peer
}

// ask returns what the kernel noted, from the second time on without a call. Beside an
// error the credentials are empty.
func (c conn) ask() (*credentials, error) {
	if c.cred.asked {
		return c.cred, nil
	}
	cred, err := credentialsOf(c.UnixConn)
	cred.asked = err == nil
	*c.cred = cred
	return c.cred, err
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
