package firstbytes

import (
	"bytes"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// lead is how long before the end of grpc's connect timeout a silent server is
// given up. At the end itself grpc closes the connection, and all that is left to
// say is that it was closed.
const lead = 25 * time.Millisecond

// What the client speaks, known from its first write.
const (
	speaksNothing int32 = iota
	speaksHTTP2
	speaksTLS
	speaksOther // credentials that we know nothing about
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
	see  func(p []byte) (more bool) // nil once it wants no more

	allowed time.Duration // the time for the first bytes
	giveUp  time.Time     // when it is over; zero for no end
	speaks  atomic.Int32
	settled atomic.Bool           // nothing more to look at
	fault   atomic.Pointer[error] // what was wrong with the first bytes, set before settled

	// The reader's.
	deadline bool // a deadline waits to be taken off
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

// Settled reports whether reads need not go through Look any more.
func (c *Conn) Settled() bool { return c.settled.Load() && c.see == nil }

// BeginsTLS reports whether p, a first write, begins a TLS handshake.
func BeginsTLS(p []byte) bool { return language(p) == speaksTLS }

// HasWritten reports whether there was a write.
func (c *Conn) HasWritten() bool { return c.speaks.Load() != speaksNothing }

// Write looks at the first write, and at errors until the server has answered.
func (c *Conn) Write(p []byte) (int, error) {
	if c.speaks.Load() == speaksNothing && len(p) > 0 {
		c.speaks.Store(language(p))
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

// Look judges what a read has given, for readers of their own. What it returns is
// the whole result of the read.
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
	// A server may speak before we have: that is plaintext, since a TLS server
	// waits for its client.
	c.have += copy(c.first[c.have:], p)
	done, wrong := See(speech, c.first[:c.have], err)
	switch {
	case wrong != nil:
		fault := c.fail(wrong, c.allowed)
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
func (c *Conn) settle() error {
	c.settled.Store(true)
	if c.deadline {
		return c.Conn.SetDeadline(time.Time{})
	}
	return nil
}

// language is what the client speaks, from the first bytes that it sends.
func language(p []byte) int32 {
	switch {
	case bytes.HasPrefix(p, []byte("PRI ")):
		return speaksHTTP2
	case p[0] == 0x16: // a TLS handshake record
		return speaksTLS
	}
	return speaksOther
}
