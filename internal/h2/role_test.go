package h2

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// TestTakeOver: whatever a handler does on the reader's goroutine, the other
// calls of the connection are served, within two ticks.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	for name, misbehave := range map[string]func(block chan struct{}){
		"blocks":          func(block chan struct{}) { <-block },
		"exits":           func(chan struct{}) { runtime.Goexit() },
		"locks":           func(block chan struct{}) { runtime.LockOSThread(); <-block },
		"blocks and exit": func(block chan struct{}) { <-block; runtime.Goexit() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				block := make(chan struct{})
				h := &recorder{at: AtEnd}
				var c *Conn
				h.start = func(st *Stream) (reader, done bool) {
					role := c.BeginInline()
					if st.ID() == 1 {
						misbehave(block)
					}
					st.Send(context.Background(), &Write{Trail: &Block{Head: func(string) Head { return Head{{"grpc-status", "0"}} }}, Hold: true})
					st.Release(NoError)
					if !c.EndInline(role) {
						c.Flush()
						return false, true
					}
					return true, true
				}
				c, p := newServerFor(t, h, &c)
				p.got()
				start := time.Now()
				p.headers(1, true, requestFields...)
				p.headers(3, true, requestFields...)
				for p.count("HEADERS grpc-status=0 END") == 0 && time.Since(start) < time.Second {
					time.Sleep(tickEvery)
				}
				if took := time.Since(start); took > 3*tickEvery {
					t.Errorf("the other call took %v", took)
				}
				close(block)
				synctest.Wait()
				p.headers(5, true, requestFields...)
				synctest.Wait()
				if n := p.count("HEADERS grpc-status=0 END"); n < 2 {
					t.Errorf("%d calls were answered", n)
				}
				if err := h.ended(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// newServerFor is newConn for a handler that needs the connection.
func newServerFor(t *testing.T, h Handler, at **Conn) (*Conn, *peer) {
	t.Helper()
	c, p := newConn(t, h, true, Limits{})
	*at = c
	return c, p
}

// count returns how often a frame has come.
func (p *peer) count(frame string) (n int) {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, f := range p.frames {
		if f == frame {
			n++
		}
	}
	return n
}

// TestSentinelRests: with nothing to look after it ends.
func TestSentinelRests(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		c, p := newConn(t, h, false, Limits{})
		st := open(t, c, &Write{End: true})
		done := make(chan error)
		go func() { done <- st.WaitEnd(context.Background()) }()
		time.Sleep(time.Second)
		c.guard.mu.Lock()
		running := c.guard.running
		c.guard.mu.Unlock()
		if running {
			t.Error("the sentinel runs for a call that waits for a second")
		}
		p.headers(1, true, ":status", "200", "grpc-status", "0")
		if err := <-done; err != nil {
			t.Error(err)
		}
		st.Release(Cancel)
		time.Sleep(time.Second) // and a reader is there
		p.got()
		p.write(func() error { return p.fr.WritePing(false, [8]byte{1}) })
		if got := p.got(); !slices.Equal(got, []string{"PING ACK"}) {
			t.Errorf("got %q", got)
		}
	})
}
