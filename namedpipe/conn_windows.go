package namedpipe

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/windows"
)

// conn is an overlapped pipe handle in the Go runtime's own poller, which since
// Go 1.25 takes such handles: no completion port and no goroutine of ours, and
// deadlines work.
type conn struct{ *os.File }

// newConn takes over the pipe, also on error.
func newConn(pipe windows.Handle, addr *Addr) (conn, error) {
	f := os.NewFile(uintptr(pipe), addr.path)
	// NewFile doesn't say when the handle could not join the poller: then
	// deadlines would not work and every read would hold a thread.
	if err := f.SetDeadline(time.Time{}); err != nil {
		f.Close()
		return conn{}, fmt.Errorf("the pipe's handle can't join the runtime's poller: %w", err)
	}
	return conn{f}, nil
}

func (c conn) SyscallConn() (syscall.RawConn, error) {
	rc, err := c.File.SyscallConn()
	if err != nil {
		return nil, err
	}
	return controlOnly{rc}, nil
}

// controlOnly takes away the methods that os.File would direct to WSARecv and
// WSASend, which fail on a pipe.
type controlOnly struct{ syscall.RawConn }

func (controlOnly) Read(func(uintptr) bool) error  { return errors.ErrUnsupported }
func (controlOnly) Write(func(uintptr) bool) error { return errors.ErrUnsupported }
