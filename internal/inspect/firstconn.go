package inspect

import (
	"encoding/binary"
	"fmt"
	"net"
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
	Kind firstbytes.Kind
	addr net.Addr
	what string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.addr, f.what) }

// firstConn wraps a connection to judge the first bytes of the server: they are
// its HTTP/2 settings, which are kept, or show what it is instead.
func (d *dialer) firstConn(c net.Conn, end time.Time, overTLS bool) net.Conn {
	fail := func(f *firstbytes.Fault, _ time.Duration) error {
		next := f.Next(firstbytes.Words{AddTLS: d.cfg.Words.AddTLS, DropTLS: d.cfg.Words.DropTLS})
		return d.trace.fail(&Error{Kind: Unreachable, Err: &Fault{f.Kind, c.RemoteAddr(), f.What(d.cfg.timeout())}, Next: next})
	}
	var first []byte
	see := func(p []byte) (more bool) {
		first = append(first, p[:min(len(p), maxSettings-len(first))]...)
		settings, whole := parseSettings(first)
		if whole {
			d.trace.settle(settings)
		}
		return !whole
	}
	if d.tls && !overTLS {
		see = nil // the settings are within TLS
	}
	w := &firstbytes.Conn{}
	w.Init(c, end, fail, see)
	return w
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
