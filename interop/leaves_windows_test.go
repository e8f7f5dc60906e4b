package interop_test

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

var peekNamedPipe = windows.NewLazySystemDLL("kernel32.dll").NewProc("PeekNamedPipe")

// leftSilently reports whether the client has gone without having sent a byte, and
// takes none away. The client's process must be gone.
func leftSilently(c *namedpipe.Conn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var peekErr error
	err = raw.Control(func(fd uintptr) {
		var unread uint32
		ok, _, errno := peekNamedPipe.Call(fd, 0, 0, 0, uintptr(unsafe.Pointer(&unread)), 0)
		switch {
		case ok == 0 && errors.Is(errno, windows.ERROR_BROKEN_PIPE): // nothing to read, and nobody to write
		case ok == 0:
			peekErr = errno
		case unread > 0:
			peekErr = errSpoke
		default:
			peekErr = errors.New("the client's end is still open")
		}
	})
	return errors.Join(err, peekErr)
}
