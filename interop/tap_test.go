package interop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A tapListener notes what the clients of a server do and what the server
// answers: HTTP/2 pings, GOAWAY, and who ends a connection.
type tapListener struct {
	net.Listener

	mu    sync.Mutex
	conns []*tapped
}

func tap(t testing.TB, pipe string) *tapListener {
	t.Helper()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	return &tapListener{Listener: lis}
}

// tapped is what was seen of one connection.
type tapped struct {
	opened    time.Time
	keepAlive []time.Time // .NET's keep-alive pings
	rtt       int         // .NET's other pings, with which it measures how far the server is
	answers   int         // to pings of either kind
	goAway    []string    // "client: ..." or "server: ..."
	closedBy  string      // "client" or "server", whoever did first
	closed    time.Time
}

// seen is every connection there has been.
func (l *tapListener) seen() []tapped {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]tapped, len(l.conns))
	for i, c := range l.conns {
		all[i] = *c
		all[i].keepAlive, all[i].goAway = slices.Clone(c.keepAlive), slices.Clone(c.goAway)
	}
	return all
}

func (c tapped) String() string {
	end := "open"
	if c.closedBy != "" {
		end = fmt.Sprintf("closed by the %s after %v", c.closedBy, c.lasted().Round(time.Millisecond))
	}
	return fmt.Sprintf("%d keep-alive pings %v apart at most, %d other pings, %d answers, GOAWAY %q, %s",
		len(c.keepAlive), c.widest().Round(time.Millisecond), c.rtt, c.answers, c.goAway, end)
}

// widest is the longest time between two keep-alive pings that followed each
// other.
func (c tapped) widest() time.Duration {
	var d time.Duration
	for i := 1; i < len(c.keepAlive); i++ {
		d = max(d, c.keepAlive[i].Sub(c.keepAlive[i-1]))
	}
	return d
}

// lasted is the time from the beginning to the end.
func (c tapped) lasted() time.Duration { return c.closed.Sub(c.opened) }

func (l *tapListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	seen := &tapped{opened: time.Now()}
	l.conns = append(l.conns, seen)
	l.mu.Unlock()
	tc := &tapConn{Conn: c, l: l, seen: seen}
	tc.in = frames{skip: len(http2.ClientPreface), frame: tc.fromClient}
	tc.out = frames{frame: tc.fromServer}
	return tc, nil
}

// A tapConn follows the frames of both sides. It has one reader and one writer.
type tapConn struct {
	net.Conn
	l       *tapListener
	seen    *tapped // guarded by l.mu
	in, out frames
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	c.in.feed(p[:n])
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.end("client") // unless the server has closed before
	}
	return n, err
}

func (c *tapConn) Write(p []byte) (int, error) {
	c.l.mu.Lock()
	c.out.feed(p)
	c.l.mu.Unlock()
	return c.Conn.Write(p)
}

func (c *tapConn) Close() error {
	c.l.mu.Lock()
	c.end("server")
	c.l.mu.Unlock()
	return c.Conn.Close()
}

func (c *tapConn) end(by string) {
	if c.seen.closedBy == "" {
		c.seen.closedBy, c.seen.closed = by, time.Now()
	}
}

func (c *tapConn) fromClient(kind http2.FrameType, flags http2.Flags, body []byte) {
	switch {
	case kind == http2.FramePing && !flags.Has(http2.FlagPingAck):
		// .NET counts its keep-alive pings upwards and the others downwards.
		if int64(binary.BigEndian.Uint64(body)) > 0 {
			c.seen.keepAlive = append(c.seen.keepAlive, time.Now())
		} else {
			c.seen.rtt++
		}
	case kind == http2.FrameGoAway:
		c.goAway("client", body)
	}
}

func (c *tapConn) fromServer(kind http2.FrameType, flags http2.Flags, body []byte) {
	switch {
	case kind == http2.FramePing && flags.Has(http2.FlagPingAck):
		c.seen.answers++
	case kind == http2.FrameGoAway:
		c.goAway("server", body)
	}
}

func (c *tapConn) goAway(side string, body []byte) {
	c.seen.goAway = append(c.seen.goAway, fmt.Sprintf("%s: %v %s", side, http2.ErrCode(binary.BigEndian.Uint32(body[4:])), body[8:]))
}

// frames finds the HTTP/2 frames in a stream of bytes that comes in pieces. It
// keeps the bodies of pings and GOAWAYs only.
type frames struct {
	skip  int // bytes to the next frame's header
	buf   []byte
	frame func(http2.FrameType, http2.Flags, []byte)
}

const frameHeader = 9

func (f *frames) feed(b []byte) {
	for len(b) > 0 {
		if k := min(f.skip, len(b)); k > 0 {
			f.skip -= k
			b = b[k:]
			continue
		}
		want := frameHeader
		if len(f.buf) >= frameHeader {
			want += f.length()
		}
		k := min(want-len(f.buf), len(b))
		f.buf = append(f.buf, b[:k]...)
		b = b[k:]
		if len(f.buf) < want {
			return
		}
		kind := http2.FrameType(f.buf[3])
		kept := kind == http2.FramePing || kind == http2.FrameGoAway
		switch {
		case kept && want == frameHeader && f.length() > 0:
			continue // with the body
		case kept:
			f.frame(kind, http2.Flags(f.buf[4]), f.buf[frameHeader:])
		default:
			f.skip = f.length()
		}
		f.buf = f.buf[:0]
	}
}

func (f *frames) length() int {
	return int(f.buf[0])<<16 | int(f.buf[1])<<8 | int(f.buf[2])
}
