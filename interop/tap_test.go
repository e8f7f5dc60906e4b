package interop_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
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
	tc.in = follow(int64(len(http2.ClientPreface)), tc.fromClient)
	tc.out = follow(0, tc.fromServer)
	return tc, nil
}

// A tapConn follows the frames of both sides. It has one reader and one writer.
type tapConn struct {
	net.Conn
	l       *tapListener
	seen    *tapped // guarded by l.mu
	in, out io.WriteCloser
}

func (c *tapConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.in.Write(p[:n])
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.end("client") // unless the server has closed before
	}
	return n, err
}

func (c *tapConn) Write(p []byte) (int, error) {
	c.out.Write(p)
	return c.Conn.Write(p)
}

func (c *tapConn) Close() error {
	c.l.mu.Lock()
	c.end("server")
	c.l.mu.Unlock()
	c.in.Close()
	c.out.Close()
	return c.Conn.Close()
}

func (c *tapConn) end(by string) {
	if c.seen.closedBy == "" {
		c.seen.closedBy, c.seen.closed = by, time.Now()
	}
}

func (c *tapConn) fromClient(frame http2.Frame) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	switch f := frame.(type) {
	case *http2.PingFrame:
		// .NET counts its keep-alive pings upwards and the others downwards.
		switch {
		case f.IsAck():
		case int64(binary.BigEndian.Uint64(f.Data[:])) > 0:
			c.seen.keepAlive = append(c.seen.keepAlive, time.Now())
		default:
			c.seen.rtt++
		}
	case *http2.GoAwayFrame:
		c.goAway("client", f)
	}
}

func (c *tapConn) fromServer(frame http2.Frame) {
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	switch f := frame.(type) {
	case *http2.PingFrame:
		if f.IsAck() {
			c.seen.answers++
		}
	case *http2.GoAwayFrame:
		c.goAway("server", f)
	}
}

func (c *tapConn) goAway(side string, f *http2.GoAwayFrame) {
	c.seen.goAway = append(c.seen.goAway, fmt.Sprintf("%s: %v %s", side, f.ErrCode, f.DebugData()))
}

// follow hands the frames that are written to the returned end to frame, one
// after the other. Whatever follows something else is dropped.
func follow(skip int64, frame func(http2.Frame)) io.WriteCloser {
	r, w := io.Pipe()
	go func() {
		defer io.Copy(io.Discard, r) // whoever writes must not wait
		if _, err := io.CopyN(io.Discard, r, skip); err != nil {
			return
		}
		fr := http2.NewFramer(nil, r)
		for {
			f, err := fr.ReadFrame()
			if err != nil {
				return
			}
			frame(f)
		}
	}()
	return w
}
