package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestGoAway: streams that the server will not look at end, others go on, and no
// new ones begin.
func TestGoAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		c, p := newConn(t, h, false, Limits{})
		one, three := open(t, c, &Write{End: true}), open(t, c, &Write{End: true})
		p.write(func() error { return p.fr.WriteGoAway(1, http2.ErrCodeNo, []byte("bye")) })
		var se *StreamError
		if three.WaitEnd(context.Background()); !errors.As(three.Received().Err, &se) || se.Code != RefusedStream {
			t.Errorf("the stream above: %+v", three.Received())
		}
		if err := c.Open(context.Background(), new(Stream), &Write{}); !errors.Is(err, ErrNotOpened) {
			t.Errorf("a new stream: %v", err)
		}
		p.headers(1, true, ":status", "200", "grpc-status", "0")
		if one.WaitEnd(context.Background()); !one.Received().Ended || one.Received().Err != nil {
			t.Errorf("the stream below: %+v", one.Received())
		}
		one.Release(Cancel)
		three.Release(Cancel)
		<-c.Done()
		synctest.Wait()
		if err := h.ended(); err != ErrClosed || len(h.goAway) != 1 {
			t.Errorf("the end: %v", err)
		}
	})
}

// TestDrain: a server that closes in order says so twice and serves what it has.
func TestDrain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		h := &recorder{serve: func(st *Stream) { <-block; echo(st) }}
		c, p := newConn(t, h, true, Limits{})
		p.headers(1, true, requestFields...)
		p.got()
		c.Drain("bye")
		if got := p.got(); !slices.Equal(got, []string{"GOAWAY NO_ERROR", "PING"}) {
			t.Fatalf("first: %q", got)
		}
		p.headers(3, true, requestFields...) // was under way
		p.write(func() error { return p.fr.WritePing(true, [8]byte{7: 1}) })
		if got := p.got(); !slices.Equal(got, []string{"GOAWAY NO_ERROR"}) {
			t.Fatalf("then: %q", got)
		}
		p.headers(5, true, requestFields...)
		close(block)
		got := strings.Join(p.got(), "|")
		if strings.Count(got, "END") != 2 {
			t.Errorf("got %q, want the ends of two streams", got)
		}
		time.Sleep(lingerFor / 2)
		select {
		case <-c.Done():
			t.Error("closed before the client had time to close")
		default:
		}
		p.conn.Close()
		start := time.Now()
		<-c.Done()
		if took := time.Since(start); took > 0 {
			t.Errorf("took %v to close after the client", took)
		}
	})
}

// TestDrainBeforeServe: a server that is closing when a client connects says so
// when the client's settings have come, and doesn't wait long for them.
func TestDrainBeforeServe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		defer b.Close()
		c := NewConn(NewCarrier(a), &recorder{}, true, Limits{}, NewSentinel())
		go func() { c.Drain(""); c.Serve() }()
		start := time.Now()
		var first http2.FrameType
		var goAway time.Duration
		fr := http2.NewFramer(io.Discard, b)
		for i := 0; ; i++ {
			f, err := fr.ReadFrame()
			if err != nil {
				break
			}
			if i == 0 {
				first = f.Header().Type
			}
			if f.Header().Type == http2.FrameGoAway {
				goAway = time.Since(start)
			}
		}
		if first != http2.FrameSettings || goAway != finalAfter || time.Since(start) != finalAfter {
			t.Errorf("the first frame is %v, GOAWAY came after %v and the end after %v", first, goAway, time.Since(start))
		}
		time.Sleep(2 * restTicks * tickEvery) // until the sentinel has gone to rest
	})
}

// TestDrainAlone: a server that closes in order doesn't wait long for a client
// that stays.
func TestDrainAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := newConn(t, &recorder{}, true, Limits{})
		c.Drain("")
		p.got()
		p.write(func() error { return p.fr.WritePing(true, [8]byte{7: 1}) })
		start := time.Now()
		<-c.Done()
		if took := time.Since(start); took != lingerFor {
			t.Errorf("took %v to close, want %v", took, lingerFor)
		}
	})
}
