package h2

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

const oneByte = "\x00\x00\x00\x00\x01x" // a message

// newTalk returns a server's connection with a stream 1 that serve serves. The
// stream's handler has answered three messages and reads for the connection.
func newTalk(t *testing.T, h *recorder, serve func(st *Stream)) (*Conn, *peer) {
	t.Helper()
	first := h.start
	h.start = func(st *Stream) (reader, done bool) {
		if st.ID() != 1 {
			return first(st)
		}
		go func() {
			defer st.Retire(NoError)
			talk(st, 3)
			serve(st)
		}()
		return true, true
	}
	c, p := newConn(t, h, true, Limits{})
	p.got()
	p.headers(1, false, requestFields...)
	for range 3 {
		p.sendData(1, false, []byte(oneByte))
		synctest.Wait()
	}
	return c, p
}

// leadsOn reports whether the handler of a stream reads for the connection.
func (c *Conn) leadsOn(id uint32) bool {
	c.mu.Lock()
	st := c.streams[id]
	c.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.leads
}

// A slowWatcher delays whoever ends its stream.
type slowWatcher struct{}

func (slowWatcher) StreamEnded(error) { time.Sleep(time.Millisecond) }

// TestHandOverCutOff: a handler that reads for a connection that another has just
// ended doesn't take that for the stream's end in order.
func TestHandOverCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		left := make(chan error, 1)
		h := &recorder{start: func(st *Stream) (reader, done bool) {
			st.Watch(slowWatcher{})
			return true, true
		}}
		c, p := newTalk(t, h, func(st *Stream) { left <- talk(st, 1) })
		for id := uint32(3); id < 100; id += 2 { // which are ended one by one
			p.headers(id, false, requestFields...)
		}
		synctest.Wait()
		if !c.leadsOn(1) {
			t.Fatal("the handler doesn't read")
		}
		why := errors.New("a write has failed")
		go c.CloseWith(why)
		time.Sleep(time.Microsecond)
		p.conn.Close()
		if err := <-left; err != why {
			t.Errorf("the handler's error: %v", err)
		}
		time.Sleep(time.Second)
	})
}

// TestHandOverLocks: a handler about to read doesn't hold up who sends the end of
// its stream.
func TestHandOverLocks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		next := make(chan struct{})
		c, _ := newTalk(t, &recorder{}, func(st *Stream) {
			<-next // with the role
			talk(st, 1)
		})
		c.mu.Lock()
		st := c.streams[1]
		c.mu.Unlock()
		st.mu.Lock()
		if st.role != c.role.Load() {
			t.Fatal("the handler doesn't have the role")
		}
		st.mean = 2 * shortTurn
		st.mu.Unlock()
		c.mu.Lock() // as in sentEnd
		close(next)
		// It goes on to wait for c.mu, while another may wait for st.mu.
		free := true
		for range 10000 {
			runtime.Gosched()
			if free = st.mu.TryLock(); free {
				st.mu.Unlock()
			}
		}
		if !free {
			t.Error("the stream is locked by whoever waits for the connection's lock")
		}
		c.mu.Unlock()
	})
}

// TestHandOverTooLate: the role is not handed to a handler that by then has taken
// its message and waits for the next.
func TestHandOverTooLate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{at: AtEnd}
		var c *Conn
		h.start = func(st *Stream) (reader, done bool) {
			if st.ID() == 1 {
				go func() {
					defer st.Retire(NoError)
					talk(st, 100)
				}()
				return true, true
			}
			role := c.BeginInline()
			time.Sleep(time.Microsecond) // until all others wait
			sendOK(st)
			st.Release(NoError)
			return c.EndInline(role), true
		}
		h.fields = func(st *Stream, _ []Field) {
			if st.ID() == 1 {
				h.at = AtHead
			} else {
				h.at = AtEnd
			}
		}
		c, p := newServerFor(t, h, &c)
		p.got()
		p.headers(1, false, requestFields...)
		p.sendData(1, false, []byte(oneByte))
		synctest.Wait()
		var b bytes.Buffer
		fr := http2.NewFramer(&b, nil)
		fr.WriteData(1, false, []byte(oneByte)) // of which the handler is to be woken at the end
		fr.WriteData(1, false, []byte(oneByte)) // by which it is woken at once
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: p.block(requestFields...), EndHeaders: true, EndStream: true})
		start := time.Now()
		p.write(func() error { _, err := p.conn.Write(b.Bytes()); return err })
		p.sendData(1, false, []byte(oneByte))
		if n := p.received(1); n != 4*len(oneByte) {
			t.Errorf("%d bytes were answered, want %d", n, 4*len(oneByte))
		}
		if took := time.Since(start); took > 10*time.Microsecond {
			t.Errorf("the next message was read after %v", took)
		}
	})
}

// TestHandOverRetired: when a handler leaves a goroutine behind that reads for
// the connection, that one is sent away and another reads at once.
func TestHandOverRetired(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(st *Stream, p *peer, leave func()){
		"returned": func(_ *Stream, _ *peer, leave func()) { leave() },
		"canceled": func(st *Stream, _ *peer, _ func()) { st.Cancel(Cancel) },
		"reset": func(_ *Stream, p *peer, _ func()) {
			p.write(func() error { return p.fr.WriteRSTStream(1, http2.ErrCodeCancel) })
		},
		"ended": func(_ *Stream, p *peer, _ func()) { p.sendData(1, true, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				left, stay := make(chan error, 1), make(chan struct{})
				h := &recorder{at: AtHead, serve: sendOK}
				h.start = func(st *Stream) (reader, done bool) { return false, false }
				var st *Stream
				leave := sync.OnceFunc(func() { close(stay) })
				defer leave()
				c, p := newTalk(t, h, func(s *Stream) {
					st = s
					go func() {
						_, _, err := s.Next(context.Background())
						left <- err
					}()
					<-stay
				})
				synctest.Wait()
				if !c.leadsOn(1) {
					t.Fatal("the goroutine doesn't read")
				}
				start := time.Now()
				end(st, p, leave)
				synctest.Wait()
				if len(left) == 0 {
					t.Error("the goroutine still waits")
				}
				p.headers(3, true, requestFields...)
				if n := p.count("HEADERS grpc-status=0 END"); n != 1 {
					t.Error("another call was not answered")
				}
				if took := time.Since(start); took > 0 {
					t.Errorf("another call was answered after %v", took)
				}
				if err := h.ended(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
