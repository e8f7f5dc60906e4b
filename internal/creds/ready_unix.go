//go:build unix

package creds

import (
	"errors"
	"io"
	"net"
	"syscall"

	"google.golang.org/grpc/mem"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A readyReader waits until a connection has bytes to read before it takes a
// buffer for them. grpc uses it through the method ReadOnReady; without it
// every connection, even an idle one, holds a read buffer. It has one user at a
// time and allocates nothing per read.
type readyReader struct {
	raw  syscall.RawConn // nil if the connection doesn't give it out
	addr net.Addr
	wake func(fd uintptr) bool // readNow, made once

	// The current read: its arguments and its results.
	pool mem.BufferPool
	size int
	buf  *[]byte
	n    int
	err  error
}

func (r *readyReader) init(pipe *namedpipe.Conn) {
	raw, err := pipe.SyscallConn()
	if err != nil {
		return // closed: the first read says so
	}
	r.raw, r.addr, r.wake = raw, pipe.RemoteAddr(), r.readNow
}

// readNow reads what is there. If there is nothing it returns false, and the
// runtime calls it again when there is. The runtime holds the descriptor open
// during the call.
func (r *readyReader) readNow(fd uintptr) bool {
	r.buf = r.pool.Get(r.size)
	for {
		r.n, r.err = syscall.Read(int(fd), *r.buf)
		if r.err != syscall.EINTR {
			break
		}
	}
	if r.err == nil && r.n > 0 {
		return true
	}
	r.pool.Put(r.buf)
	r.buf = nil
	return r.err != syscall.EAGAIN
}

// read reads once. The caller returns the buffer to the pool; with an error
// there is no buffer. Errors are those of namedpipe.Conn.Read.
func (r *readyReader) read(size int, pool mem.BufferPool) (*[]byte, int, error) {
	r.pool, r.size, r.buf, r.n, r.err = pool, size, nil, 0, nil
	err := r.raw.Read(r.wake)
	buf, n, readErr := r.buf, r.n, r.err
	r.pool, r.buf = nil, nil
	switch {
	case err != nil:
		if buf != nil {
			pool.Put(buf)
		}
		return nil, 0, r.mapped(err)
	case readErr == syscall.ECONNRESET: // the other end has closed with data unread
		return nil, 0, io.EOF
	case readErr != nil:
		return nil, 0, r.mapped(readErr)
	case buf == nil:
		return nil, 0, io.EOF
	}
	return buf, n, nil
}

// mapped returns an error that names the pipe's path where the runtime's error
// names something else.
func (r *readyReader) mapped(err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
	}
	return &net.OpError{Op: "read", Net: r.addr.Network(), Addr: r.addr, Err: err}
}

// ReadOnReady waits for bytes, then takes a buffer of the given size from the
// pool and reads into it; see readyreader.Reader in grpc.
func (c *clientConn) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	if c.raw == nil {
		return readInto(c, size, pool)
	}
	buf, n, err := c.read(size, pool)
	if c.Settled() {
		return buf, n, err
	}
	var p []byte
	if buf != nil {
		p = (*buf)[:n]
	}
	if fault := c.Look(p, err); fault != nil {
		if buf != nil {
			pool.Put(buf)
		}
		return nil, 0, fault
	}
	return buf, n, err
}

// A serverConn is the server's end of a pipe as grpc sees it.
type serverConn struct {
	net.Conn
	readyReader
	pipe *namedpipe.Conn
}

func newServerConn(pipe *namedpipe.Conn) net.Conn {
	c := &serverConn{Conn: pipeConn{pipe}, pipe: pipe}
	c.init(pipe)
	return c
}

func (c *serverConn) bare() net.Conn { return c.pipe }

// ReadOnReady is as for clientConn.
func (c *serverConn) ReadOnReady(size int, pool mem.BufferPool) (*[]byte, int, error) {
	if c.raw == nil {
		return readInto(c, size, pool)
	}
	return c.read(size, pool)
}

// readInto is ReadOnReady over Read, which holds the buffer while it waits.
func readInto(r io.Reader, size int, pool mem.BufferPool) (*[]byte, int, error) {
	buf := pool.Get(size)
	n, err := r.Read(*buf)
	if err != nil {
		pool.Put(buf)
		return nil, 0, err
	}
	return buf, n, nil
}
