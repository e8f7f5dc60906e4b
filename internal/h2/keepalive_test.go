package h2

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestKeepAlive: a silent peer is pinged, one that answers stays, and one that
// doesn't is given up; without streams only if that was wanted.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	for _, idle := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			h := &recorder{}
			c, p := newConn(t, h, false, Limits{}, func(c *Conn) { c.KeepAlive(10*time.Second, 3*time.Second, idle) })
			if !idle {
				time.Sleep(time.Minute)
				if got := p.got(); slices.Contains(got, "PING") {
					t.Errorf("without streams: %q", got)
				}
				open(t, c, &Write{End: true})
			}
			p.got()
			pings := byte(0)
			for range 60 {
				time.Sleep(time.Second)
				if slices.Contains(p.got(), "PING") {
					pings++
					p.write(func() error { return p.fr.WritePing(true, [8]byte{7: pings}) })
				}
			}
			if pings < 3 || pings > 6 {
				t.Errorf("%d pings in a minute", pings)
			}
			if err := h.ended(); err != nil {
				t.Fatalf("though every ping was answered: %v", err)
			}
			time.Sleep(10*time.Second + 10*time.Second + 4*time.Second)
			synctest.Wait()
			if err := h.ended(); !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), "keepalive") {
				t.Errorf("the end of a silent peer: %v", err)
			}
		})
	}
}

// TestPingStrikes: a client may ping every 250 ms, and in between as long as
// calls are answered.
func TestPingStrikes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		every time.Duration
		calls bool
		cut   bool
	}{
		"slow":            {250 * time.Millisecond, false, false},
		"fast":            {100 * time.Millisecond, false, true},
		"fast with calls": {100 * time.Millisecond, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &recorder{serve: echo}
				_, p := newConn(t, h, true, Limits{})
				for i := range uint32(20) {
					if tt.calls && i%3 == 0 {
						p.headers(1+2*i, true, requestFields...)
					}
					p.write(func() error { return p.fr.WritePing(false, [8]byte{1}) })
					time.Sleep(tt.every)
				}
				cut := slices.Contains(p.got(), "GOAWAY ENHANCE_YOUR_CALM")
				if err := h.ended(); cut != tt.cut || tt.cut && !strings.Contains(err.Error(), "too_many_pings") {
					t.Errorf("cut: %t, %v", cut, err)
				}
			})
		})
	}
}

// TestIdsRunOut: a connection takes no calls beyond three quarters of its ids,
// and ends with those that it has.
func TestIdsRunOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const last = maxStreamID/4*3 | 1
		h := &recorder{}
		c, p := newConn(t, h, false, Limits{}, func(c *Conn) { c.nextID = last })
		st := open(t, c, &Write{End: true})
		if st.ID() != last {
			t.Errorf("the id is %d", st.ID())
		}
		if err := c.Open(context.Background(), new(Stream), &Write{}); !errors.Is(err, ErrNotOpened) {
			t.Errorf("one more: %v", err)
		}
		p.headers(last, true, ":status", "200", "grpc-status", "0")
		if st.WaitEnd(context.Background()); st.Received().Err != nil {
			t.Errorf("the last call: %+v", st.Received())
		}
		st.Release(Cancel)
		<-c.Done()
	})
}

// TestJudge: what a server begins with is judged at once, also when a write has
// failed before it is read.
func TestJudge(t *testing.T) {
	t.Parallel()
	wrong := errors.New("it speaks HTTP/1.1")
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		h := &recorder{}
		c := NewConn(NewCarrier(brokenWriter{a}), h, false, Limits{}, NewSentinel())
		c.Judge = func(first []byte, err error) error {
			if string(first) == "HTTP/" {
				return wrong
			}
			return err
		}
		c.Start()
		synctest.Wait()
		go b.Write([]byte("HTTP/"))
		if err := c.WaitReady(context.Background(), true); err != wrong {
			t.Errorf("got %v", err)
		}
		b.Close()
		time.Sleep(2 * restTicks * tickEvery)
	})
}

// A brokenWriter is a connection whose other end has closed.
type brokenWriter struct{ net.Conn }

func (brokenWriter) Write([]byte) (int, error) { return 0, syscall.EPIPE }
