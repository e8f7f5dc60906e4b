package cli

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// What this end speaks on a connection.
type speech int

const (
	speaksHTTP2 speech = iota
	speaksTLS
)

const (
	frameHeader = 9
	// maxLook is how much of a server's first bytes is kept: SETTINGS frames
	// are some dozens of bytes long.
	maxLook = 512
)

// trouble is what a server did in place of speaking HTTP/2.
type trouble int

const (
	noTrouble    trouble = iota
	troubleHTTP1         // it answered in HTTP/1.1
	troubleHTTP1Only
	troubleWantsTLS
	troubleNoTLS
	troubleGoAway
	troubleNotHTTP2
	troubleClosed
	troubleSilent
)

// A wrongPeer is the error for a server that is there and doesn't speak as it
// should.
type wrongPeer struct {
	what trouble
	text string
}

func (w *wrongPeer) Error() string { return w.text }

// A lookConn looks at the first bytes that a server sends: they are its HTTP/2
// settings, or tell what it is instead. grpc has one reader at a time.
type lookConn struct {
	net.Conn
	trace   *trace
	speaks  speech
	timeout time.Duration
	settled atomic.Bool
	first   []byte
}

func newLookConn(c net.Conn, t *trace, speaks speech, end time.Time, timeout time.Duration) *lookConn {
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
	w := c.look(p[:n], err)
	if w == nil {
		return n, err
	}
	c.settled.Store(true)
	return 0, c.trace.fail(&failure{exit: exitConnect, err: fmt.Errorf("%s: %w", c.RemoteAddr(), w)})
}

func (c *lookConn) look(p []byte, err error) *wrongPeer {
	c.first = append(c.first, p[:min(len(p), maxLook-len(c.first))]...)
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		text := fmt.Sprintf("the server accepted the connection and sent nothing in %v: is it a gRPC server, and is it stopped or overloaded?", c.timeout)
		return &wrongPeer{troubleSilent, text}
	case err != nil && errors.Is(err, io.EOF) && len(c.first) == 0:
		return closedEarly(c.speaks)
	case err != nil && len(p) == 0:
		c.settled.Store(true)
		return nil
	}
	done, wrong := judge(c.speaks, c.first)
	if !done || wrong != nil {
		return wrong
	}
	c.settled.Store(true)
	c.Conn.SetReadDeadline(time.Time{}) // an error shows in the next Read
	if c.speaks == speaksHTTP2 {
		c.trace.mu.Lock()
		c.trace.settled, c.trace.settings = time.Now(), parseSettings(c.first)
		c.trace.mu.Unlock()
	}
	return nil
}

func closedEarly(speaks speech) *wrongPeer {
	text := "the server closed the connection before it said anything: it may want TLS (add --tls), be shutting down, refuse this client, or be no gRPC server; see its log"
	if speaks == speaksTLS {
		text = "the server closed the connection in place of a TLS handshake: it may speak no TLS (leave --tls out), be shutting down, or refuse this client; see its log"
	}
	return &wrongPeer{troubleClosed, text}
}

// judge looks at a server's first bytes. With neither result it wants more.
func judge(speaks speech, b []byte) (done bool, wrong *wrongPeer) {
	isTLS := len(b) >= 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3
	http := len(b) >= 5 && string(b[:5]) == "HTTP/"
	frame := len(b) >= frameHeader && b[0] == 0 && (b[3] == byte(http2.FrameSettings) || b[3] == byte(http2.FrameGoAway))
	if speaks == speaksTLS {
		switch {
		case len(b) < 2, !isTLS && !http && len(b) < frameHeader:
			return false, nil
		case isTLS:
			return true, nil
		}
		return false, &wrongPeer{troubleNoTLS, "the server speaks no TLS: leave --tls and its like out, or enable TLS in the server"}
	}
	switch {
	case isTLS:
		return false, &wrongPeer{troubleWantsTLS, "the server speaks TLS: add --tls, and --cacert FILE if its certificate is its own"}
	case http:
		return false, &wrongPeer{troubleHTTP1, fmt.Sprintf("the server speaks HTTP/1.1, not HTTP/2 (it answered %s): it is no gRPC server, or HTTP/2 without TLS isn't enabled in it%s", quoted(b), kestrelHint)}
	case len(b) < frameHeader:
		return false, nil
	case !frame:
		return false, &wrongPeer{troubleNotHTTP2, fmt.Sprintf("the server doesn't speak HTTP/2: its first bytes are %s, so it is no gRPC server; check the name", quoted(b))}
	}
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	whole := len(b) >= min(frameHeader+length, maxLook)
	if b[3] == byte(http2.FrameGoAway) {
		if !whole || length < 8 {
			return false, nil
		}
		return false, goAway(http2.ErrCode(binary.BigEndian.Uint32(b[frameHeader+4:])))
	}
	return whole, nil
}

const kestrelHint = "; in Kestrel's ListenNamedPipe or ListenUnixSocket write listenOptions.Protocols = HttpProtocols.Http2"

func goAway(code http2.ErrCode) *wrongPeer {
	if code == http2.ErrCodeHTTP11Required {
		return &wrongPeer{troubleHTTP1Only, "the server takes HTTP/1.1 only, as Kestrel does by default without TLS" + kestrelHint}
	}
	return &wrongPeer{troubleGoAway, fmt.Sprintf("the server ended the connection before it began (GOAWAY, %v): see its log", code)}
}

// parseSettings reads the frame that a server begins with.
func parseSettings(b []byte) []http2.Setting {
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	var all []http2.Setting
	for b = b[frameHeader:min(len(b), frameHeader+length)]; len(b) >= 6; b = b[6:] {
		all = append(all, http2.Setting{ID: http2.SettingID(binary.BigEndian.Uint16(b)), Val: binary.BigEndian.Uint32(b[2:])})
	}
	return all
}

// quoted shows bytes from a stranger: short, and safe to print.
func quoted(b []byte) string {
	line, _, _ := strings.Cut(string(b[:min(len(b), 32)]), "\r\n")
	for _, c := range []byte(line) {
		if c < ' ' || c > '~' {
			return fmt.Sprintf("%x in hexadecimal", line)
		}
	}
	return fmt.Sprintf("%q", line)
}
