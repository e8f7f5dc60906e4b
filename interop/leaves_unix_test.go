//go:build unix

package interop_test

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// leftSilently reports whether the client has gone without having sent a byte, and
// takes none away. The client's process must be gone.
func leftSilently(c *namedpipe.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var n int
	var peekErr error
	err = raw.Control(func(fd uintptr) {
		n, _, peekErr = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	switch {
	case err != nil || peekErr != nil:
		return fmt.Errorf("a client that is gone: %w", errors.Join(err, peekErr))
	case n > 0:
		return errSpoke
	}
	return nil // the end
}
