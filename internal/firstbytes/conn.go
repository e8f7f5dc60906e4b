package firstbytes

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// lead is how long before the end of grpc's connection timeout a silent server
// is given up. At the end itself grpc closes the connection, and the error
// could only say that it was closed.
const lead = 25 * time.Millisecond

// What the client speaks, as its first write shows.
const (
	speaksNothing int32 = iota
	speaksHTTP2
	speaksTLS
	speaksOther // credentials of an unknown kind
)

// A Conn is the client's end of a connection as grpc sees it. It judges the first
// bytes of the server, by what the client's first bytes are, so that the error
// for a server that does not speak HTTP/2 says what it did instead. After that it
// costs a comparison for each read and write.
//
// Like grpc, it has one reader at a time.
type Conn struct {
	net.Conn
	fail func(f *Fault, allowed time.Duration) error
	see  func(p []byte) (more bool) // nil once it needs no more bytes

	allowed time.Duration // the time for the first bytes
	giveUp  time.Time     // when it is over; zero for no end
	speaks  atomic.Int32
	settled atomic.Bool           // there is nothing left to judge
	fault   atomic.Pointer[error] // what was wrong with the first bytes, set before settled

	// Used by the reader only.
	deadline bool // the deadline is still to be removed
	first    [Enough]byte
	have     int // bytes in first
}

// Init wraps a connection whose first bytes must come before end, if that is not
// zero. fail makes the error for a fault. see, if not nil, gets what the server
// sends until it returns false.
func (c *Conn) Init(conn net.Conn, end time.Time, fail func(f *Fault, allowed time.Duration) error, see func(p []byte) (more bool)) {
	c.Conn, c.fail, c.see = conn, fail, see
	if !end.IsZero() {
		c.allowed, c.giveUp = time.Until(end), end.Add(-lead)
		c.deadline = conn.SetDeadline(c.giveUp) == nil
	}
}

// Settled reports whether reads can skip Look.
func (c *Conn) Settled() bool { return c.settled.Load() && c.see == nil }

// BeginsTLS reports whether p, a first write, begins a TLS handshake.
func BeginsTLS(p []byte) bool { return language(p) == speaksTLS }

// HasWritten reports whether Write has been called.
func (c *Conn) HasWritten() bool { return c.speaks.Load() != speaksNothing }

// Write records what the client speaks, and explains errors until the server
// has answered.
func (c *Conn) Write(p []byte) (int, error) {
	if c.speaks.Load() == speaksNothing && len(p) > 0 {
		c.speaks.Store(language(p))
	}
	n, err := c.Conn.Write(p)
	if err == nil {
		return n, nil
	}
	if errors.Is(err, net.ErrClosed) {
		// grpc has closed the connection, perhaps because of what the reader
		// found while this write waited for a server that reads nothing.
		if fault := c.fault.Load(); fault != nil {
			return n, *fault
		}
		return n, err
	}
	// The server hung up on our first bytes, but it may have answered first.
	// The reader's error says more than this one, and grpc reports only the
	// first that it gets.
	if !c.settled.Load() && !outOfMemory(err) {
		return len(p), nil // the reader's error is still to come
	}
	if fault := c.fault.Load(); fault != nil {
		return n, *fault
	}
	return n, err
}

func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if !c.Settled() {
		if err := c.Look(p[:n], err); err != nil {
			return 0, err
		}
	}
	return n, err
}

// Look judges the result of a read, for readers that don't call Read. What it
// returns replaces the error of that read.
func (c *Conn) Look(p []byte, err error) error {
	if c.see != nil && len(p) > 0 && !c.see(p) {
		c.see = nil
	}
	if c.settled.Load() {
		return nil
	}
	speech := HTTP2
	switch c.speaks.Load() {
	case speaksOther:
		return c.settle()
	case speaksTLS:
		speech = TLS
	}
	// On a busy machine grpc may close the connection at the end before this
	// reader has run since lead before it. The reason is the same.
	if errors.Is(err, net.ErrClosed) && !c.giveUp.IsZero() && !time.Now().Before(c.giveUp) {
		err = os.ErrDeadlineExceeded
	}
	// A server that sends before the client has written speaks plaintext: a TLS
	// server waits for its client.
	c.have += copy(c.first[c.have:], p)
	done, wrong := See(speech, c.first[:c.have], err)
	switch {
	case wrong != nil:
		fault := c.fail(wrong, c.allowed)
		c.fault.Store(&fault)
		c.settled.Store(true)
		// A server that sends without reading may never take the client's first
		// bytes: on a pipe without a quota the write waits until they are read.
		// grpc waits for that write before it looks at what was read.
		c.Conn.SetWriteDeadline(time.Unix(1, 0))
		return fault
	case done && err == nil:
		return c.settle()
	case done:
		c.settled.Store(true)
	}
	return nil
}

// settle ends the judging and removes its deadline.
func (c *Conn) settle() error {
	c.settled.Store(true)
	if c.deadline {
		return c.Conn.SetDeadline(time.Time{})
	}
	return nil
}

// language returns what the client speaks, from its first bytes.
func language(p []byte) int32 {
	switch {
	case bytes.HasPrefix(p, []byte("PRI ")):
		return speaksHTTP2
	case p[0] == 0x16: // a TLS handshake record
		return speaksTLS
	}
	return speaksOther
}
