//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"io/fs"
	"math"
	"net"
)

// credentials are what the kernel reports of the process at the other end. It recorded
// them when that process connected or, at the client's end, when it began to listen.
type credentials struct {
	asked   bool
	pid     int
	uid     int // or unknownID
	groups  []int
	partial bool // there may be groups that are not in groups
	// Of the process, set by process.
	proven  bool        // pid is of the very process that connected, which still runs
	program string      // see Peer.Executable
	file    fs.FileInfo // see Peer
	birth   uint64      // see Peer
}

// unknownID is in the place of a user or a group that isn't known.
const unknownID = -1

// idNumber is a number of the kernel's; the largest means none.
func idNumber(n uint32) int {
	if n == math.MaxUint32 {
		return unknownID
	}
	return int(n)
}

// ask returns what the kernel recorded; it makes a system call the first time only. If
// it returns an error, the credentials are empty.
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
