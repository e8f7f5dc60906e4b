package h2

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// echo answers each message by itself, then ends in order.
func echo(st *Stream) {
	ctx := context.Background()
	first := true
	for {
		b, _, err := st.Next(ctx)
		if err != nil {
			w := &Write{Trail: &Block{Key: "t", Head: func(string) Head { return Head{{"grpc-status", "0"}} }}}
			st.Send(ctx, w)
			return
		}
		w := &Write{Payload: Payload{B: append([]byte{0, byte(len(b) >> 24), byte(len(b) >> 16), byte(len(b) >> 8), byte(len(b))}, b...)}}
		if first {
			w.Head = &Block{Key: "h", Head: func(string) Head { return Head{{":status", "200"}} }}
			first = false
		}
		if st.Send(ctx, w) != nil {
			return
		}
	}
}

func TestServerEcho(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{serve: echo}
		_, p := newConn(t, h, true, Limits{})
		p.got()
		p.headers(1, false, requestFields...)
		p.sendData(1, false, message(10)[:7])
		p.sendData(1, true, message(10)[7:])
		want := []string{"HEADERS :status=200", "DATA", "HEADERS grpc-status=0 END"}
		if got := p.got(); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if n := p.received(1); n != 15 {
			t.Errorf("got %d bytes back, want 15", n)
		}
	})
}

// TestStreamLimits: beyond the limit streams are refused; a client waits.
func TestStreamLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		h := &recorder{serve: func(st *Stream) { <-block; echo(st) }}
		_, p := newConn(t, h, true, Limits{Streams: 2})
		p.got()
		for id := uint32(1); id < 7; id += 2 {
			p.headers(id, true, requestFields...)
		}
		if got := p.got(); !slices.Equal(got, []string{"RST_STREAM REFUSED_STREAM"}) {
			t.Errorf("got %q", got)
		}
		close(block)
		synctest.Wait()
		p.got()
		p.headers(7, true, requestFields...)
		if got := p.got(); len(got) == 0 || strings.HasPrefix(got[0], "RST") {
			t.Errorf("with room again: %q", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, p := newConn(t, &recorder{}, false, Limits{})
		p.write(func() error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
		})
		synctest.Wait()
		first := open(t, c, &Write{End: true})
		opened := make(chan *Stream, 1)
		go func() { opened <- open(t, c, &Write{End: true}) }()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		var queued *QueueError
		if err := c.Open(ctx, new(Stream), &Write{}); !errors.As(err, &queued) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a call that waits beyond its deadline: %v", err)
		}
		if len(opened) > 0 {
			t.Error("a second stream was opened")
		}
		p.headers(1, true, ":status", "200", "grpc-status", "0")
		if err := first.WaitEnd(context.Background()); err != nil {
			t.Error(err)
		}
		first.Release(Cancel)
		(<-opened).Release(Cancel)
	})
}

// TestIdle: while nobody calls, pings are answered and the end of the connection
// is seen.
func TestIdle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		c, p := newConn(t, h, false, Limits{})
		time.Sleep(time.Second)
		p.got()
		p.write(func() error { return p.fr.WritePing(false, [8]byte{1}) })
		if got := p.got(); !slices.Equal(got, []string{"PING ACK"}) {
			t.Errorf("got %q", got)
		}
		st := open(t, c, &Write{End: true})
		p.headers(1, true, ":status", "200", "grpc-status", "0")
		if err := st.WaitEnd(context.Background()); err != nil || !st.Received().Ended {
			t.Errorf("a call after a rest: %v", err)
		}
		st.Release(Cancel)
		time.Sleep(time.Second)
		p.conn.Close()
		synctest.Wait()
		if err := h.ended(); !errors.Is(err, io.EOF) {
			t.Errorf("the end: %v", err)
		}
	})
}

// TestReadOn: while the receiver of large messages is busy with one, the next is
// read; afterwards the connection serves calls as before, and rests.
func TestReadOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const size = 40000
		c, p := newConn(t, &recorder{}, false, Limits{})
		st := open(t, c, &Write{End: true})
		st.MaxMessage = 1 << 20
		p.headers(1, false, ":status", "200")
		message := append([]byte{0, 0, size >> 16, size >> 8 & 0xff, size & 0xff}, make([]byte, size)...)
		got := make(chan int)
		for range 2 * bulkReads { // by then the receiver has read itself
			go func() {
				b, _, _ := st.Next(context.Background())
				got <- len(b)
			}()
			synctest.Wait()
			p.sendData(1, false, message)
			if n := <-got; n != size {
				t.Fatalf("a message of %d bytes", n)
			}
		}
		start := time.Now()
		p.sendData(1, false, message)
		synctest.Wait()
		// Were nobody reading, the sentinel would see to it some ticks later.
		if n, took := c.unread.Load(), time.Since(start); n != int64(len(message)) || took > 0 {
			t.Errorf("of the next message %d bytes were read within %v while the receiver was busy", n, took)
		}
		p.headers(1, true, "grpc-status", "0")
		if b, _, err := st.Next(context.Background()); len(b) != size || err != nil {
			t.Fatalf("the last message: %d bytes, %v", len(b), err)
		}
		if _, _, err := st.Next(context.Background()); err != io.EOF {
			t.Errorf("the end: %v", err)
		}
		st.Release(Cancel)
		time.Sleep(time.Second)
		c.mu.Lock()
		if cap(c.out.arena)+cap(c.spare.arena) > 1<<10 {
			t.Errorf("buffers of %d bytes are kept by a connection that rests", cap(c.out.arena)+cap(c.spare.arena))
		}
		c.mu.Unlock()
		for id := uint32(3); id < 3+4*bulkReads; id += 2 {
			st := open(t, c, &Write{End: true})
			p.headers(id, true, ":status", "200", "grpc-status", "0")
			if err := st.WaitEnd(context.Background()); err != nil || !st.Received().Ended {
				t.Errorf("a call afterwards: %v", err)
			}
			st.Release(Cancel)
		}
	})
}

// TestLeaders: callers that wait at once get their own answers in any order, and
// one that gives up while it reads for all leaves the others unharmed.
func TestLeaders(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := newConn(t, &recorder{}, false, Limits{})
		type result struct {
			id  uint32
			err error
			end bool
		}
		results := make(chan result, 10)
		ctx, cancel := context.WithCancel(context.Background())
		for i := range 10 {
			st := open(t, c, &Write{End: true})
			call := context.Background()
			if i == 0 {
				call = ctx
			}
			go func() {
				err := st.WaitEnd(call)
				results <- result{st.ID(), err, st.Received().Ended}
			}()
			synctest.Wait()
		}
		cancel() // of the one that reads
		if r := <-results; r.id != 1 || !errors.Is(r.err, context.Canceled) {
			t.Errorf("canceled: %+v", r)
		}
		for _, id := range []uint32{19, 3, 11, 5, 7, 9, 13, 15, 17} {
			p.headers(id, true, ":status", "200", "grpc-status", "0")
			if r := <-results; r.id != id || r.err != nil || !r.end {
				t.Errorf("stream %d: %+v", id, r)
			}
		}
	})
}
