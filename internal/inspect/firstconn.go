package inspect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"github.com/grpcpipe/grpcpipe/internal/firstbytes"
)

// maxSettings is how much of a server's settings is kept: they are some dozens
// of bytes long.
const maxSettings = 512

// A Fault is the error for a server that is there and does not speak as it
// should.
type Fault struct {
	Kind       firstbytes.Kind
	addr       net.Addr
	what, next string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.addr, f.what) }

// A firstConn judges the first bytes that a server sends: they are its HTTP/2
// settings, which are kept, or show what it is instead. The library does the
// same for its pipes; this one also serves networks and what is within TLS. grpc
// has one reader at a time.
type firstConn struct {
	net.Conn
	dialer  *dialer
	speaks  firstbytes.Speech
	settled atomic.Bool
	first   []byte
}

func newFirstConn(c net.Conn, d *dialer, speaks firstbytes.Speech, end time.Time) *firstConn {
	l := &firstConn{Conn: c, dialer: d, speaks: speaks}
	// grpc gives up at the same time as we do, without a reason.
	c.SetReadDeadline(end.Add(-25 * time.Millisecond)) // an error shows in Read
	return l
}

func (c *firstConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && !c.settled.Load() && !errors.Is(err, net.ErrClosed) {
		return len(p), nil // what the server said before it hung up is the better reason
	}
	return n, err
}

func (c *firstConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.settled.Load() {
		return n, err
	}
	c.first = append(c.first, p[:min(n, maxSettings-len(c.first))]...)
	done, fault := firstbytes.See(c.speaks, c.first, err)
	switch {
	case fault != nil:
		c.settled.Store(true)
		d := c.dialer
		next := fault.Next(firstbytes.Words{AddTLS: d.cfg.Words.AddTLS, DropTLS: d.cfg.Words.DropTLS})
		f := &Fault{fault.Kind, c.RemoteAddr(), fault.What(d.cfg.timeout()), next}
		return 0, d.trace.fail(&Error{Kind: Unreachable, Err: f, Next: next})
	case done && err != nil:
		c.settled.Store(true)
	case done && c.speaks == firstbytes.TLS:
		c.settle()
	case done:
		if settings, whole := parseSettings(c.first); whole {
			t := c.dialer.trace
			t.mu.Lock()
			t.settled, t.settings = time.Now(), settings
			t.mu.Unlock()
			c.settle()
		}
	}
	return n, err
}

// settle ends the looking, and the time for it.
func (c *firstConn) settle() {
	c.settled.Store(true)
	c.Conn.SetReadDeadline(time.Time{}) // an error shows in the next Read
}

// parseSettings reads the SETTINGS frame that a server begins with, as far as it
// is kept.
func parseSettings(b []byte) (all []http2.Setting, whole bool) {
	const header = 9
	if len(b) < header {
		return nil, false
	}
	end := min(header+int(b[0])<<16+int(b[1])<<8+int(b[2]), maxSettings)
	if len(b) < end {
		return nil, false
	}
	for b = b[header:end]; len(b) >= 6; b = b[6:] {
		all = append(all, http2.Setting{ID: http2.SettingID(binary.BigEndian.Uint16(b)), Val: binary.BigEndian.Uint32(b[2:])})
	}
	return all, true
}
