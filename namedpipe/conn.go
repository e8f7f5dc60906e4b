package namedpipe

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	_ net.Conn     = (*Conn)(nil)
	_ syscall.Conn = (*Conn)(nil)
)

// A Conn is one end of a connection over a pipe. Its methods are safe for
// concurrent use. Read, Write and the methods that set deadlines do not allocate.
// Errors are of type *net.OpError, except io.EOF.
//
// There is no half-close. Close closes the connection at once and unblocks
// pending calls; the other end can still read what was written before. A Read or
// Write of zero bytes returns at once and makes no system call.
type Conn struct {
	addr   *Addr
	conn   conn
	open   *atomic.Int64 // the listener's count, nil at the client's end
	closed atomic.Bool

	unused   *unused   // for the listener, nil without ListenConfig.TakeOver
	refused  *refusals // the listener's log, nil at the client's end
	client   bool      // this is the end that dialled
	onlySelf bool      // the listener admits the current user alone
	who      identified
	token    clientToken
	peeked   peekedByte
}

// Read reads up to len(p) bytes. It returns io.EOF when the other end has closed
// the connection and all its data has been read.
func (c *Conn) Read(p []byte) (int, error) {
	c.unused.end()
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

// Write writes all of p or returns an error. The error matches syscall.EPIPE if
// the other end has closed the connection.
func (c *Conn) Write(p []byte) (int, error) {
	c.unused.end()
	if len(p) == 0 {
		return 0, nil
	}
	n, err := c.conn.Write(p)
	if err != nil {
		err = c.ioError("write", err)
	}
	return n, err
}

// Close closes the connection. Pending and later calls, including Close, return
// errors that match net.ErrClosed.
func (c *Conn) Close() error {
	c.unused.end()
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

// SetDeadline sets the deadline of pending and future reads and writes. The zero
// time means no deadline. After the deadline, calls return errors that match
// os.ErrDeadlineExceeded until a later deadline is set.
func (c *Conn) SetDeadline(t time.Time) error {
	c.unused.end()
	if err := c.conn.SetDeadline(t); err != nil {
		return c.ioError("set", err)
	}
	return nil
}

// SetReadDeadline is like SetDeadline, for reads only.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.unused.end()
	if err := c.conn.SetReadDeadline(t); err != nil {
		return c.ioError("set", err)
	}
	return nil
}

// SetWriteDeadline is like SetDeadline, for writes only.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.unused.end()
	if err := c.conn.SetWriteDeadline(t); err != nil {
		return c.ioError("set", err)
	}
	return nil
}

// SyscallConn returns a RawConn for the handle or file descriptor. On Windows it
// supports Control only, since the Read and Write methods of syscall.RawConn work
// on sockets there.
func (c *Conn) SyscallConn() (syscall.RawConn, error) {
	c.unused.end()
	rc, err := c.conn.SyscallConn()
	if err != nil {
		return nil, c.ioError("raw-control", err)
	}
	return rc, nil
}
