package namedpipe

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// A Conn is one end of a connection over a pipe. Its methods may be called from
// any goroutine at the same time. Read, Write and the setting of deadlines
// allocate nothing. Errors are *net.OpError; io.EOF stays bare.
//
// There is no half-close. Close frees the connection at once and unblocks
// pending calls; what was written before stays readable for the other end. A
// Read or Write of zero bytes returns at once and never reaches the system.
type Conn struct {
	addr   *Addr
	conn   conn
	open   *atomic.Int64 // the listener's count, nil at the client's end
	closed atomic.Bool

	client   bool // this is the end that dialled
	onlySelf bool // the listener admits the current user alone
	who      identified
	token    clientToken
	peeked   peekedByte
}

// Read reads up to len(p) bytes. When the other end has closed the connection
// and all its data has been read, it returns io.EOF.
func (c *Conn) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if n := c.peeked.take(p); n > 0 {
		return n, nil
	}
	n, err := c.conn.Read(p)
	if err != nil {
		err = c.ioError("read", err)
	}
	return n, err
}

// Write writes all of p or returns an error. If the other end has closed the
// connection the error matches syscall.EPIPE.
func (c *Conn) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.conn.Write(p)
	if err != nil {
		err = c.ioError("write", err)
	}
	return n, err
}

// Close closes the connection. Pending calls return net.ErrClosed, as does
// every later one, Close included.
func (c *Conn) Close() error {
	if c.closed.CompareAndSwap(false, true) && c.open != nil {
		c.open.Add(-1)
	}
	c.token.close()
	if err := c.conn.Close(); err != nil {
		return c.ioError("close", err)
	}
	return nil
}

// LocalAddr returns the pipe's address, a *Addr.
func (c *Conn) LocalAddr() net.Addr { return c.addr }

// RemoteAddr returns the pipe's address, a *Addr: both ends of a pipe share it.
func (c *Conn) RemoteAddr() net.Addr { return c.addr }

// SetDeadline bounds pending and future reads and writes. The zero time means
// no deadline. A call that meets it returns an error that matches
// os.ErrDeadlineExceeded; a later deadline makes the connection usable again.
func (c *Conn) SetDeadline(t time.Time) error {
	if err := c.conn.SetDeadline(t); err != nil {
		return c.ioError("set", err)
	}
	return nil
}

// SetReadDeadline is SetDeadline for reads only.
func (c *Conn) SetReadDeadline(t time.Time) error {
	if err := c.conn.SetReadDeadline(t); err != nil {
		return c.ioError("set", err)
	}
	return nil
}

// SetWriteDeadline is SetDeadline for writes only.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	if err := c.conn.SetWriteDeadline(t); err != nil {
		return c.ioError("set", err)
	}
	return nil
}

// SyscallConn gives access to the handle or file descriptor while the
// connection keeps it open. On Windows it offers Control only: the Read and
// Write methods of package syscall's RawConn are made for sockets there.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	rc, err := c.conn.SyscallConn()
	if err != nil {
		return nil, c.ioError("raw-control", err)
	}
	return rc, nil
}
