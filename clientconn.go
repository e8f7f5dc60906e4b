package grpcpipe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// What the client speaks, known from its first write.
const (
	speaksNothing int32 = iota
	speaksHTTP2
	speaksTLS
	speaksOther // credentials that we know nothing about
)

// deadlineLead is how long before the end of grpc's connect timeout we give up
// on a silent server. At the end itself grpc closes the connection, and all that
// is left to say is that it was closed.
const deadlineLead = 25 * time.Millisecond

// A clientConn is the client's end of a pipe as grpc sees it. It looks at the
// first bytes of either direction to say, in the error that reaches the caller
// of an RPC, what the peer did instead of speaking HTTP/2. After that it costs a
// comparison for each call.
//
// Like grpc, it has one reader at a time.
type clientConn struct {
	net.Conn
	readyReader
	dialed   time.Time
	tlsOnly  bool
	speaks   atomic.Int32
	settled  bool // by the reader: nothing more to look at
	deadline bool // by the reader: a deadline waits to be taken off
	first    [maxFirst]byte
	have     int // bytes in first
}

// newClientConn wraps a connection whose first bytes must come before the
// deadline of ctx, the one in which grpc dialled. With tlsOnly it refuses to
// send anything that isn't TLS.
func newClientConn(ctx context.Context, pipe *namedpipe.Conn, tlsOnly bool) net.Conn {
	c := &clientConn{Conn: pipe, dialed: time.Now(), tlsOnly: tlsOnly}
	c.readyReader.init(pipe)
	if end, ok := ctx.Deadline(); ok {
		c.deadline = pipe.SetReadDeadline(end.Add(-deadlineLead)) == nil
	}
	return c
}

// Write looks at the first write only.
func (c *clientConn) Write(p []byte) (int, error) {
	if c.speaks.Load() == speaksNothing && len(p) > 0 {
		now := language(p)
		if c.tlsOnly && now != speaksTLS {
			return 0, c.errorf("write", "the target is https: and the channel's credentials are not TLS, so nothing was sent: "+
				"use credentials.NewTLS, or an http: or npipe: target")
		}
		c.speaks.Store(now)
	}
	return c.Conn.Write(p)
}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.settled {
		if err := c.look(p[:n], err); err != nil {
			return 0, err
		}
	}
	return n, err
}

// look judges the bytes that the server begins with, or the error in their
// place. What it returns is the whole result of the read.
func (c *clientConn) look(p []byte, err error) error {
	speaks := c.speaks.Load()
	if err != nil {
		c.settled = true
		switch {
		case c.have > 0 && !errors.Is(err, os.ErrDeadlineExceeded), speaks == speaksOther:
			return nil // the frame or record was cut short, which grpc tells
		case err == io.EOF:
			return c.errorf("connect", "%s", closedEarly(speaks))
		case errors.Is(err, os.ErrDeadlineExceeded):
			return c.errorf("connect", "%s", keptSilent(speaks, c.first[:c.have], time.Since(c.dialed)))
		}
		return nil
	}
	c.have += copy(c.first[c.have:], p)
	done, fault := diagnose(speaks, c.first[:c.have])
	if fault != "" {
		c.settled = true
		return c.errorf("connect", "%s", fault)
	}
	if done {
		c.settled = true
		if c.deadline {
			return c.Conn.SetReadDeadline(time.Time{})
		}
	}
	return nil
}

func (c *clientConn) errorf(op, format string, args ...any) error {
	return pipeError(op, c.RemoteAddr(), format, args...)
}
