package h2

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestHandOver: a handler whose messages go to and fro reads for the connection,
// and whatever it does then, the other calls of the connection are served within
// two ticks.
func TestHandOver(t *testing.T) {
	t.Parallel()
	for name, misbehave := range map[string]func(st *Stream, block chan struct{}){
		"reads":       func(st *Stream, _ chan struct{}) { talk(st, 2) },
		"returns":     func(*Stream, chan struct{}) {},
		"blocks":      func(_ *Stream, block chan struct{}) { <-block },
		"exits":       func(*Stream, chan struct{}) { runtime.Goexit() },
		"only reads":  func(st *Stream, _ chan struct{}) { st.Next(context.Background()); st.Next(context.Background()) },
		"no window":   func(st *Stream, _ chan struct{}) { sendMessage(st, 1<<20) },
		"another":     func(st *Stream, _ chan struct{}) { go st.Next(context.Background()); sendMessage(st, 1<<20) },
		"is cut off":  func(st *Stream, _ chan struct{}) { st.Cancel(Cancel) },
		"has a limit": func(st *Stream, _ chan struct{}) { nextWithin(st, tickEvery) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				block := make(chan struct{})
				h := &recorder{}
				var c *Conn
				h.start = func(st *Stream) (reader, done bool) {
					go func() {
						defer st.Retire(NoError)
						if st.ID() == 1 {
							talk(st, 3)
							if c.role.Load()%2 == 0 {
								t.Error("the handler has not been given the reader's role")
							}
							misbehave(st, block)
						}
						sendOK(st)
					}()
					return true, true
				}
				c, p := newServerFor(t, h, &c)
				p.got()
				p.headers(1, false, requestFields...)
				for range 3 {
					p.sendData(1, false, []byte("\x00\x00\x00\x00\x01x"))
					synctest.Wait()
				}
				for id := uint32(3); id < 9; id += 2 {
					start, n := time.Now(), p.count("HEADERS grpc-status=0 END")
					p.headers(id, true, requestFields...)
					for p.count("HEADERS grpc-status=0 END") == n && time.Since(start) < time.Second {
						time.Sleep(tickEvery)
					}
					if took := time.Since(start); took > 3*tickEvery {
						t.Errorf("the call on stream %d took %v", id, took)
					}
				}
				close(block)
				time.Sleep(3 * tickEvery) // until limits have passed
				synctest.Wait()
				if err := h.ended(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestHandOverEnds: a handler that reads for the connection learns that it has
// ended.
func TestHandOverEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		left := make(chan error, 1)
		h.serve = func(st *Stream) { left <- talk(st, 10) }
		c, p := newConn(t, h, true, Limits{})
		p.got()
		p.headers(1, false, requestFields...)
		for range 3 {
			p.sendData(1, false, []byte("\x00\x00\x00\x00\x01x"))
			synctest.Wait()
		}
		p.conn.Close()
		if err := <-left; err == nil {
			t.Error("the handler has received more than was sent")
		}
		<-c.Done()
	})
}

// talk answers n messages.
func talk(st *Stream, n int) error {
	for range n {
		if _, _, err := st.Next(context.Background()); err != nil {
			return err
		}
		if err := sendMessage(st, 1); err != nil {
			return err
		}
	}
	return nil
}

func sendMessage(st *Stream, size int) error {
	b := make([]byte, prefixLen+size)
	b[2], b[3], b[4] = byte(size>>16), byte(size>>8), byte(size)
	return st.Send(context.Background(), &Write{Payload: Payload{B: b}})
}

func sendOK(st *Stream) {
	st.Send(context.Background(), &Write{Trail: &Block{Head: func(string) Head { return Head{{"grpc-status", "0"}} }}})
}

func nextWithin(st *Stream, d time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if _, _, err := st.Next(ctx); err != context.DeadlineExceeded {
		panic(err)
	}
}

// TestTalkers: two streams whose messages go to and fro both get theirs.
func TestTalkers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 10
		h := &recorder{serve: func(st *Stream) {
			if talk(st, n) == nil {
				sendOK(st)
			}
		}}
		_, p := newConn(t, h, true, Limits{})
		p.got()
		p.headers(1, false, requestFields...)
		p.headers(3, false, requestFields...)
		for i := range n {
			p.sendData(1, false, []byte("\x00\x00\x00\x00\x01x"))
			if i%2 == 0 {
				synctest.Wait()
			}
			p.sendData(3, false, []byte("\x00\x00\x00\x00\x01x"))
			synctest.Wait()
			if a, b := p.received(1), p.received(3); a != (i+1)*(prefixLen+1) || b != a {
				t.Fatalf("after %d messages each, %d and %d bytes were answered", i+1, a, b)
			}
		}
		if got := p.count("HEADERS grpc-status=0 END"); got != 2 {
			t.Errorf("%d streams ended in order", got)
		}
	})
}
