package h2

import (
	"io"
	"net"
	"os"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
)

// A Carrier carries a connection's bytes: a socket, a pipe, TLS over either, or
// later a ring in shared memory. It has one reader and one writer at a time.
type Carrier interface {
	// Read waits for bytes and reads them into a buffer of the given size from
	// bufpool.Shared, which becomes the caller's. If it can, it takes the buffer
	// only when there is something to read.
	Read(size int) (buf *[]byte, n int, err error)
	// ReadInto waits for bytes and reads them into p and, if it can do so at once
	// and p is full, into more.
	ReadInto(p, more []byte) (int, error)
	// Tries reports whether TryWrite can say at once what it can't write.
	Tries() bool
	// TryWrite writes what it can of the pieces without waiting, perhaps nothing.
	TryWrite(pieces [][]byte) (int, error)
	// Write writes all pieces. If stall passes without progress it fails.
	Write(pieces [][]byte, stall time.Duration) error
	// Interrupt ends the Read or ReadInto under way, or the next, with an error
	// that IsInterrupt knows, and Resume makes reading possible again.
	Interrupt()
	Resume()
	// SetReadDeadline bounds reading as net.Conn's does; used before streams only.
	SetReadDeadline(time.Time) error
	Close() error
}

// NewCarrier returns the best carrier for a connection. c must be what the
// bytes really go through: not a wrapper with the SyscallConn of what it wraps.
func NewCarrier(c net.Conn) Carrier {
	if r := newRawCarrier(c); r != nil {
		return r
	}
	return &plainCarrier{c}
}

// plainCarrier is any connection: one under TLS, a Windows pipe, a test's.
type plainCarrier struct{ c net.Conn }

func (p *plainCarrier) Read(size int) (*[]byte, int, error) {
	buf := bufpool.Shared.Get(size)
	n, err := p.c.Read(*buf)
	if n == 0 && err == nil {
		err = io.ErrNoProgress
	}
	if n > 0 {
		return buf, n, nil // an error beside bytes comes again
	}
	bufpool.Shared.Put(buf)
	return nil, 0, err
}

func (p *plainCarrier) ReadInto(b, _ []byte) (int, error) {
	n, err := p.c.Read(b)
	if n > 0 {
		return n, nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return 0, err
}

func (p *plainCarrier) Tries() bool { return false }

func (p *plainCarrier) TryWrite([][]byte) (int, error) { return 0, nil }

// gather is how many bytes go in one write, so that a frame's header is not a
// write, or a TLS record, of its own.
const gather = 80 << 10

// Write sends the pieces in as few writes as gather allows. A write deadline
// bounds a whole write, so there is a new one for each.
func (p *plainCarrier) Write(pieces [][]byte, stall time.Duration) error {
	var buf []byte
	if len(pieces) > 1 {
		own := bufpool.Shared.Get(gather)
		defer bufpool.Shared.Put(own)
		buf = *own
	}
	n := 0 // bytes of buf
	for i, b := range pieces {
		for len(b) > 0 {
			step, err := b[:min(len(b), gather)], error(nil)
			if n == 0 && (len(step) == gather || i == len(pieces)-1) {
				err = p.write(step, stall)
			} else {
				step = step[:copy(buf[n:], step)]
				if n += len(step); n == gather {
					err = p.write(buf, stall)
					n = 0
				}
			}
			if err != nil {
				return err
			}
			b = b[len(step):]
		}
	}
	if n == 0 {
		return nil
	}
	return p.write(buf[:n], stall)
}

func (p *plainCarrier) write(b []byte, stall time.Duration) error {
	if err := p.c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
		return err
	}
	_, err := p.c.Write(b)
	return err
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

func (p *plainCarrier) Interrupt()                        { p.c.SetReadDeadline(past) }
func (p *plainCarrier) Resume()                           { p.c.SetReadDeadline(time.Time{}) }
func (p *plainCarrier) SetReadDeadline(t time.Time) error { return p.c.SetReadDeadline(t) }
func (p *plainCarrier) Close() error                      { return p.c.Close() }

// isInterrupt reports whether a read ended by Interrupt or a deadline.
func isInterrupt(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout() || err == os.ErrDeadlineExceeded
}
