package creds

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/firstbytes"
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

// tlsWords are how a Go program turns TLS on and off.
var tlsWords = firstbytes.Words{
	AddTLS:  "add TLS credentials with grpc.WithTransportCredentials(credentials.NewTLS(...))",
	DropTLS: "leave the TLS credentials out, with an npipe: or http: target",
}

// A clientConn is the client's end of a pipe as grpc sees it. It looks at the
// first bytes of either direction to say, in the error that reaches the caller
// of an RPC, what the peer did instead of speaking HTTP/2. After that it costs a
// comparison for each call.
//
// Like grpc, it has one reader at a time.
type clientConn struct {
	net.Conn
	readyReader
	pipe    *namedpipe.Conn // the same as Conn
	checked bool            // the dialer checked who the server is
	tlsOnly bool
	allowed time.Duration // the time for the first bytes
	speaks  atomic.Int32
	settled atomic.Bool           // nothing more to look at
	fault   atomic.Pointer[error] // what was wrong with the first bytes, set before settled

	// The reader's.
	deadline bool // a deadline waits to be taken off
	first    [firstbytes.Enough]byte
	have     int // bytes in first
}

// NewClientConn wraps a connection whose first bytes must come before the
// deadline of ctx, the one in which grpc dialled. With tlsOnly it refuses to
// send anything that isn't TLS.
func NewClientConn(ctx context.Context, pipe *namedpipe.Conn, tlsOnly, checked bool) net.Conn {
	c := &clientConn{Conn: pipe, pipe: pipe, tlsOnly: tlsOnly, checked: checked}
	c.readyReader.init(pipe)
	if end, ok := ctx.Deadline(); ok {
		c.allowed = time.Until(end)
		c.deadline = pipe.SetDeadline(end.Add(-deadlineLead)) == nil
	}
	return c
}

// Write looks at the first write, and at errors until the server has answered.
func (c *clientConn) Write(p []byte) (int, error) {
	if c.speaks.Load() == speaksNothing && len(p) > 0 {
		now := language(p)
		if c.tlsOnly && now != speaksTLS {
			return 0, c.errorf("write", "the target is https: and the channel's credentials are not TLS, so nothing was sent: "+
				"use credentials.NewTLS, or an http: or npipe: target")
		}
		c.speaks.Store(now)
	}
	n, err := c.Conn.Write(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, net.ErrClosed) {
		// grpc has closed it, perhaps for what the reader found while this write
		// waited for a server that takes nothing.
		if fault := c.fault.Load(); fault != nil {
			return n, *fault
		}
		return n, err
	}
	// The server hung up on our first bytes, but perhaps not without a word.
	// What the reader makes of that says more than this error, which would
	// otherwise be the one that grpc reports.
	if !c.settled.Load() {
		return len(p), nil // the reader's error is still to come
	}
	if fault := c.fault.Load(); fault != nil {
		return n, *fault
	}
	return n, err
}

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.settled.Load() {
		if err := c.look(p[:n], err); err != nil {
			return 0, err
		}
	}
	return n, err
}

// look judges the bytes that the server begins with, or the error in their
// place. What it returns is the whole result of the read.
func (c *clientConn) look(p []byte, err error) error {
	speech := firstbytes.HTTP2
	switch c.speaks.Load() {
	case speaksOther:
		return c.settle()
	case speaksTLS:
		speech = firstbytes.TLS
	}
	// A server may speak before we have: that is plaintext, since a TLS server
	// waits for its client.
	c.have += copy(c.first[c.have:], p)
	done, wrong := firstbytes.See(speech, c.first[:c.have], err)
	switch {
	case wrong != nil:
		fault := c.errorf("connect", "%s", wrong.Text(tlsWords, c.allowed))
		c.fault.Store(&fault)
		c.settled.Store(true)
		// A server that speaks without listening may not take our first bytes:
		// a pipe without a quota holds up the write until they are read. grpc
		// waits for that write before it looks at what was read.
		c.Conn.SetWriteDeadline(time.Unix(1, 0))
		return fault
	case done && err == nil:
		return c.settle()
	case done:
		c.settled.Store(true)
	}
	return nil
}

// settle ends the looking, and the time for it.
func (c *clientConn) settle() error {
	c.settled.Store(true)
	if c.deadline {
		return c.Conn.SetDeadline(time.Time{})
	}
	return nil
}

// language tells what the client speaks from the first bytes that it sends.
func language(p []byte) int32 {
	switch {
	case bytes.HasPrefix(p, []byte("PRI ")):
		return speaksHTTP2
	case p[0] == 0x16: // a TLS handshake record
		return speaksTLS
	}
	return speaksOther
}

func (c *clientConn) errorf(op, format string, args ...any) error {
	return pipeError(op, c.RemoteAddr(), format, args...)
}

// pipeError is an error in the form of package namedpipe's.
func pipeError(op string, addr net.Addr, format string, args ...any) error {
	return &net.OpError{Op: op, Net: addr.Network(), Addr: addr, Err: fmt.Errorf(format, args...)}
}
