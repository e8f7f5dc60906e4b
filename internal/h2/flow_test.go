package h2

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// TestWindows: a sender keeps to both windows, goes on when they open, and moves
// with INITIAL_WINDOW_SIZE.
func TestWindows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		c, p := newConn(t, h, false, Limits{})
		p.write(func() error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 10000})
		})
		synctest.Wait()
		st := open(t, c, &Write{})
		sent := make(chan error, 1)
		go func() { sent <- st.Send(context.Background(), &Write{Payload: Payload{B: message(100000)}}) }()
		check := func(want int) {
			t.Helper()
			if n := p.received(1); n != want {
				t.Fatalf("got %d bytes, want %d", n, want)
			}
		}
		check(10000)
		p.write(func() error { return p.fr.WriteWindowUpdate(1, 500) })
		check(10000) // not worth a frame
		p.write(func() error { return p.fr.WriteWindowUpdate(1, 1500) })
		check(12000)
		p.write(func() error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 5000})
		})
		p.write(func() error { return p.fr.WriteWindowUpdate(1, 7000) })
		check(14000) // -5000 + 7000
		p.write(func() error { return p.fr.WriteWindowUpdate(1, 1<<20) })
		check(65535) // the connection's window
		p.write(func() error { return p.fr.WriteWindowUpdate(0, 1<<20) })
		check(100005)
		if err := <-sent; err != nil {
			t.Error(err)
		}
		st.Release(Cancel)
	})
}

// TestSendCanceled: a context ends the waiting for a window, and nothing of what
// is queued is torn apart.
func TestSendCanceled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, p := newConn(t, &recorder{}, false, Limits{})
		st := open(t, c, &Write{})
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := st.Send(ctx, &Write{Payload: Payload{B: message(100000)}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		st.Release(Cancel)
		got := p.got()
		if got[len(got)-1] != "RST_STREAM CANCEL" {
			t.Errorf("got %q", got)
		}
	})
}

// TestRefill: what the peer sends comes back to it as window, whatever becomes
// of it: read, padding, of streams that were reset or have ended.
func TestRefill(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const window = 1 << 20
		h := &recorder{serve: func(st *Stream) {
			for {
				if _, _, err := st.Next(context.Background()); err != nil {
					return
				}
			}
		}}
		c, p := newConn(t, h, true, Limits{ConnWindow: window, StreamWindow: window})
		sent := 0
		for id := uint32(1); id < 200; id += 2 {
			p.headers(id, false, requestFields...)
			for range 3 {
				p.write(func() error { return p.fr.WriteDataPadded(id, false, message(11000), make([]byte, 200)) })
				sent += 11000 + 5 + 200 + 1
			}
			switch id % 3 {
			case 0:
				p.write(func() error { return p.fr.WriteRSTStream(id, http2.ErrCodeCancel) })
				p.sendData(id, false, message(5000)) // crosses
				sent += 5005
			case 1:
				p.sendData(id, true, message(5000)[:2000])
				sent += 2000
			default:
				p.sendData(id, true, nil)
			}
			synctest.Wait() // the peer here doesn't heed its windows
		}
		if err := h.ended(); err != nil {
			t.Fatal(err)
		}
		credit := p.creditOf(0) - (window - defaultWindow)
		if c.recvWindow != int64(window-sent+credit) || c.unread.Load() != 0 || c.recvWindow < window/2-40000 { // a quarter that was not due, and one that was unread then
			t.Errorf("%d bytes were sent and %d given back; the window is %d, unread %d", sent, credit, c.recvWindow, c.unread.Load())
		}
	})
}

// TestSlowReader: a handler that doesn't read holds what its window says, and
// another stream goes on.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		defer close(block)
		h := &recorder{serve: func(st *Stream) {
			if st.ID() == 1 {
				<-block
				return
			}
			echo(st)
		}}
		c, p := newConn(t, h, true, Limits{StreamWindow: 100000, ConnWindow: 400000})
		p.headers(1, false, requestFields...)
		for range 10 {
			p.sendData(1, false, message(9995))
		}
		if n := p.creditOf(1); n != 0 || c.unread.Load() != 100000 {
			t.Errorf("%d bytes are given back, %d unread", n, c.unread.Load())
		}
		for i := range 50 {
			p.headers(uint32(3+2*i), false, requestFields...)
			p.sendData(uint32(3+2*i), true, message(9995))
			synctest.Wait() // the peer must not get ahead of the connection's window
		}
		if err := h.ended(); err != nil {
			t.Fatal(err)
		}
		p.sendData(1, false, []byte("x"))
		if got := p.got(); got[len(got)-1] != "RST_STREAM FLOW_CONTROL_ERROR" {
			t.Errorf("beyond the window: %q", got[len(got)-1])
		}
	})
}

// TestLargeMessage: a message that is larger than the stream's window arrives if
// somebody waits for it, and one that is larger than allowed is not taken in.
func TestLargeMessage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := make(chan error, 2)
		h := &recorder{max: 1 << 20, serve: func(st *Stream) {
			b, _, err := st.Next(context.Background())
			if err == nil && len(b) != 500000 {
				err = errors.New("short")
			}
			got <- err
		}}
		_, p := newConn(t, h, true, Limits{StreamWindow: defaultWindow})
		p.headers(1, false, requestFields...)
		for m := message(500000); len(m) > 0; {
			n := min(len(m), 16000)
			p.sendData(1, len(m) == n, m[:n])
			m = m[n:]
		}
		if err := <-got; err != nil {
			t.Error(err)
		}
		p.headers(3, false, requestFields...)
		p.sendData(3, false, message(1<<20 + 1)[:100])
		var large *TooLargeError
		if err := <-got; !errors.As(err, &large) || large.Size != 1<<20+1 {
			t.Errorf("too large: %v", err)
		}
	})
}

// TestReleaseGivesBack: what lay unread of a stream that ends is given back, even
// if the peer can send nothing more until then.
func TestReleaseGivesBack(t *testing.T) {
	t.Parallel()
	for _, cancel := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			leave, stay := make(chan struct{}), make(chan struct{})
			h := &recorder{serve: func(st *Stream) {
				<-leave
				if cancel {
					st.Cancel(Cancel)
					<-stay
				}
			}}
			_, p := newConn(t, h, true, Limits{StreamWindow: defaultWindow, ConnWindow: defaultWindow})
			p.headers(1, false, requestFields...)
			for range 5 {
				p.sendData(1, false, make([]byte, 12000))
			}
			before := p.creditOf(0)
			close(leave)
			if n := p.creditOf(0); n < 60000 || before > 20000 {
				t.Errorf("given back: %d bytes, and before the stream ended %d", n, before)
			}
			close(stay)
			synctest.Wait()
		})
	}
}

// TestPaddingIsGivenBack: padding counts against a stream's window and is given
// back with the messages.
func TestPaddingIsGivenBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var err error
		h := &recorder{serve: func(st *Stream) {
			for err == nil {
				_, _, err = st.Next(context.Background())
			}
		}}
		_, p := newConn(t, h, true, Limits{StreamWindow: defaultWindow})
		p.headers(1, false, requestFields...)
		for range 1000 {
			p.write(func() error { return p.fr.WriteDataPadded(1, false, message(0), make([]byte, 255)) })
			synctest.Wait()
			if err != nil {
				t.Fatal(err)
			}
		}
		p.sendData(1, true, nil)
	})
}

// TestRoomIsEarned: the length of a message that hasn't come takes no memory.
func TestRoomIsEarned(t *testing.T) {
	t.Parallel()
	var in inbox
	in.add([]byte{0, 0, 0x40, 0, 0}, 4<<20)
	in.add(make([]byte, 1000), 4<<20)
	if n := cap(in.buf); n > 128<<10 {
		t.Errorf("1000 bytes of a message of 4 MiB take %d", n)
	}
	in.free()
}
