package cli

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

// tlsWords are how a user of this command turns TLS on and off.
var tlsWords = firstbytes.Words{
	AddTLS:  "add --tls, and --cacert FILE if its certificate is its own",
	DropTLS: "leave --tls and its like out",
}

// A wrongPeer is the error for a server that is there and doesn't speak as it
// should.
type wrongPeer struct {
	addr       net.Addr
	what, next string
}

func (w *wrongPeer) Error() string { return fmt.Sprintf("%s: %s: %s", w.addr, w.what, w.next) }

// A lookConn looks at the first bytes that a server sends: they are its HTTP/2
// settings, which are kept, or tell what it is instead. The library does the
// same for its own connections; this one is also for those that aren't pipes or
// are within TLS, and its error isn't lost in a status. grpc has one reader at a
// time.
type lookConn struct {
	net.Conn
	trace   *trace
	speaks  firstbytes.Speech
	timeout time.Duration
	settled atomic.Bool
	first   []byte
}

func newLookConn(c net.Conn, t *trace, speaks firstbytes.Speech, end time.Time, timeout time.Duration) *lookConn {
	l := &lookConn{Conn: c, trace: t, speaks: speaks, timeout: timeout}
	// grpc gives up at the same time as we do, without a reason.
	c.SetReadDeadline(end.Add(-25 * time.Millisecond)) // an error shows in Read
	return l
}

func (c *lookConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && !c.settled.Load() && !errors.Is(err, net.ErrClosed) {
		return len(p), nil // what the server said before it hung up is the better reason
	}
	return n, err
}

func (c *lookConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.settled.Load() {
		return n, err
	}
	c.first = append(c.first, p[:min(n, maxSettings-len(c.first))]...)
	done, fault := firstbytes.See(c.speaks, c.first, err)
	switch {
	case fault != nil:
		c.settled.Store(true)
		wrong := &wrongPeer{c.RemoteAddr(), fault.What(c.timeout), fault.Next(tlsWords)}
		return 0, c.trace.fail(&failure{exit: exitConnect, err: wrong})
	case done && err != nil:
		c.settled.Store(true)
	case done && c.speaks == firstbytes.TLS:
		c.settle()
	case done:
		if settings, whole := parseSettings(c.first); whole {
			c.trace.mu.Lock()
			c.trace.settled, c.trace.settings = time.Now(), settings
			c.trace.mu.Unlock()
			c.settle()
		}
	}
	return n, err
}

// settle ends the looking, and the time for it.
func (c *lookConn) settle() {
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
