package main

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

func init() {
	register(&contender{
		name: "go-winio", about: "go-winio's connections, without gRPC and without its listener",
		listen: func(addr string) (net.Listener, error) { return newWinioListener(`\\.\pipe\` + addr) },
		serve:  serveRaw,
		dial: func(addr string) (session, error) {
			c, err := winio.DialPipeContext(context.Background(), addr)
			return newRaw(c, err)
		},
	})
}

// A winioListener returns go-winio's connections over pipes that it creates itself,
// with the quotas of package namedpipe: go-winio's own listener never accepts
// under Wine, where clients can connect to the instance that only holds the name.
type winioListener struct {
	path string
	mu   sync.Mutex
	next windows.Handle
	over bool
}

func newWinioListener(path string) (*winioListener, error) {
	l := &winioListener{path: path}
	var err error
	l.next, err = l.instance()
	return l, err
}

func (l *winioListener) instance() (windows.Handle, error) {
	name, err := windows.UTF16PtrFromString(l.path)
	if err != nil {
		return 0, err
	}
	const quota = 64 << 10
	return windows.CreateNamedPipe(name, windows.PIPE_ACCESS_DUPLEX|windows.FILE_FLAG_OVERLAPPED,
		windows.PIPE_TYPE_BYTE|windows.PIPE_REJECT_REMOTE_CLIENTS, windows.PIPE_UNLIMITED_INSTANCES, quota, quota, 0, nil)
}

func (l *winioListener) Accept() (net.Conn, error) {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		return nil, err
	}
	defer windows.CloseHandle(event)
	o := windows.Overlapped{HEvent: event}
	pipe := l.next
	if err := windows.ConnectNamedPipe(pipe, &o); err == windows.ERROR_IO_PENDING {
		var n uint32
		if err := windows.GetOverlappedResult(pipe, &o, &n, true); err != nil {
			return nil, err
		}
	} else if err != nil && err != windows.ERROR_PIPE_CONNECTED {
		return nil, err
	}
	l.mu.Lock()
	over := l.over
	l.mu.Unlock()
	if over {
		windows.CloseHandle(pipe)
		return nil, net.ErrClosed
	}
	if l.next, err = l.instance(); err != nil {
		return nil, err
	}
	f, err := winio.NewOpenFile(pipe)
	if err != nil {
		return nil, err
	}
	return winioConn{ReadWriteCloser: f}, nil
}

// Close makes the next Accept fail. An Accept in progress ends with the process.
func (l *winioListener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	return nil
}

func (l *winioListener) Addr() net.Addr { return pipeAddr(l.path) }

type pipeAddr string

func (pipeAddr) Network() string  { return "pipe" }
func (a pipeAddr) String() string { return string(a) }

// winioConn is what the raw server needs of a net.Conn.
type winioConn struct {
	io.ReadWriteCloser
	net.Conn
}

func (c winioConn) Read(p []byte) (int, error)  { return c.ReadWriteCloser.Read(p) }
func (c winioConn) Write(p []byte) (int, error) { return c.ReadWriteCloser.Write(p) }
func (c winioConn) Close() error                { return c.ReadWriteCloser.Close() }
