package inspect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/net/http2"

	"github.com/grpcpipe/grpcpipe/internal/firstbytes"
)

// maxSettings is how many of a server's first bytes are kept: the longest
// SETTINGS frame with its header.
const maxSettings = firstbytes.MaxSettings + 9

// A Fault is the error for a server that is there and does not speak HTTP/2 as
// it should.
type Fault struct {
	Kind firstbytes.Kind
	addr net.Addr
	what string
}

func (f *Fault) Error() string { return fmt.Sprintf("%s: %s", f.addr, f.what) }

// firstConn wraps a connection to judge the first bytes of the server: either
// they are its HTTP/2 settings, which are kept, or they show what the server is
// instead.
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

// parseSettings reads the SETTINGS frame that a server begins with, once it is
// whole.
func parseSettings(b []byte) (all []http2.Setting, whole bool) {
	fr := http2.NewFramer(nil, bytes.NewReader(b))
	fr.SetMaxReadFrameSize(firstbytes.MaxSettings)
	frame, err := fr.ReadFrame()
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, false
	}
	if f, ok := frame.(*http2.SettingsFrame); ok {
		f.ForeachSetting(func(s http2.Setting) error {
			all = append(all, s)
			return nil
		})
	}
	return all, true
}
