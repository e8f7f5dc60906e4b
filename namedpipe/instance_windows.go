package namedpipe

import (
	"time"

	"golang.org/x/sys/windows"
)

// retryLongest is the most milliseconds between two attempts to make an
// instance.
const retryLongest = 1000

// An instance is one place for a client: a pipe handle that waits to be
// connected, or, after a failure, the time to make a new one. Only the
// goroutine that serves the listener touches it.
type instance struct {
	pipe      windows.Handle // InvalidHandle when there is none
	event     windows.Handle // manual reset: signalled when a client has connected
	wait      windows.Overlapped
	connected bool // connected before the wait began: wait was never used
	last      bool // made by a predecessor, not to be made again
	failures  int
	retryAt   time.Time
}

func newInstance() (*instance, error) {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return nil, err
	}
	return &instance{pipe: windows.InvalidHandle, event: event}, nil
}

// connect begins to wait for a client of pipe. On error the pipe stays the
// caller's.
func (in *instance) connect(pipe windows.Handle) error {
	if err := windows.ResetEvent(in.event); err != nil {
		return err
	}
	in.wait = windows.Overlapped{HEvent: in.event}
	in.connected = false
	switch err := windows.ConnectNamedPipe(pipe, &in.wait); err {
	case windows.ERROR_IO_PENDING:
	case nil, windows.ERROR_PIPE_CONNECTED:
		// Connected between the making and now; nothing will complete.
		in.connected = true
		if err := windows.SetEvent(in.event); err != nil {
			return err
		}
	default:
		return err
	}
	in.pipe = pipe
	return nil
}

// take gives up the pipe, whose event is signaled. The error means that its
// client has not stayed.
func (in *instance) take() (windows.Handle, error) {
	pipe := in.pipe
	in.pipe = windows.InvalidHandle
	if in.connected {
		return pipe, nil
	}
	var n uint32
	return pipe, windows.GetOverlappedResult(pipe, &in.wait, &n, false)
}

// giveUp ends the wait and gives up the pipe, if there is one, and reports
// whether a client has connected to it.
func (in *instance) giveUp() (pipe windows.Handle, connected bool) {
	pipe = in.pipe
	in.pipe = windows.InvalidHandle
	if pipe == windows.InvalidHandle || in.connected {
		return pipe, in.connected
	}
	windows.CancelIoEx(pipe, &in.wait) // fails if it has just completed
	var n uint32
	if windows.GetOverlappedResult(pipe, &in.wait, &n, true) == nil {
		return pipe, true
	}
	// A client may connect without anybody waiting for it.
	info, err := infoOf(pipe)
	return pipe, err == nil && info.hasClient()
}

// close frees the instance and reports whether a client had connected to it. The
// kernel owns in.wait until the canceled operation is over, so it waits.
func (in *instance) close() (hadClient bool) {
	if in.pipe != windows.InvalidHandle {
		hadClient = in.connected
		if !in.connected {
			windows.CancelIoEx(in.pipe, &in.wait) // fails if it has just completed
			var n uint32
			hadClient = windows.GetOverlappedResult(in.pipe, &in.wait, &n, true) == nil
		}
		windows.CloseHandle(in.pipe)
		in.pipe = windows.InvalidHandle
	}
	windows.CloseHandle(in.event)
	return hadClient
}

// backoff is 5 ms after the first failure, doubling up to retryLongest.
func (in *instance) backoff() time.Duration {
	return min(5*time.Millisecond<<min(in.failures-1, 10), retryLongest*time.Millisecond)
}

// untilRetry is the number of milliseconds until an instance should be made.
func (in *instance) untilRetry() uint32 {
	left := time.Until(in.retryAt)
	if left <= 0 {
		return 0
	}
	return uint32(left/time.Millisecond) + 1
}
