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

// TestBreaches: each breach of the protocol ends the connection with its code,
// or the stream.
func TestBreaches(t *testing.T) {
	t.Parallel()
	raw := func(typ http2.FrameType, flags http2.Flags, id uint32, b string) func(*peer) {
		return func(p *peer) { p.write(func() error { return p.fr.WriteRawFrame(typ, flags, id, []byte(b)) }) }
	}
	for _, tt := range []struct {
		name string
		do   func(*peer)
		want string // the last frame; empty for a connection that goes on
	}{
		{"DATA on stream 0", raw(http2.FrameData, 0, 0, "x"), "GOAWAY PROTOCOL_ERROR"},
		{"DATA on idle stream", raw(http2.FrameData, 0, 9, "x"), "GOAWAY PROTOCOL_ERROR"},
		{"too much padding", raw(http2.FrameData, http2.FlagDataPadded, 1, "\x05abc"), "GOAWAY PROTOCOL_ERROR"},
		{"HEADERS on stream 0", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, ""), "GOAWAY PROTOCOL_ERROR"},
		{"HEADERS on even stream", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 2, "\x82"), "GOAWAY PROTOCOL_ERROR"},
		{"bad header block", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\x80"), "GOAWAY COMPRESSION_ERROR"},
		{"CONTINUATION alone", raw(http2.FrameContinuation, 0, 1, ""), "GOAWAY PROTOCOL_ERROR"},
		{"PING of 7 bytes", raw(http2.FramePing, 0, 0, "1234567"), "GOAWAY FRAME_SIZE_ERROR"},
		{"PING on stream", raw(http2.FramePing, 0, 1, "12345678"), "GOAWAY PROTOCOL_ERROR"},
		{"SETTINGS of 5 bytes", raw(http2.FrameSettings, 0, 0, "12345"), "GOAWAY FRAME_SIZE_ERROR"},
		{"SETTINGS on stream", raw(http2.FrameSettings, 0, 1, ""), "GOAWAY PROTOCOL_ERROR"},
		{"SETTINGS ack with bytes", raw(http2.FrameSettings, http2.FlagSettingsAck, 0, "123456"), "GOAWAY FRAME_SIZE_ERROR"},
		{"MAX_FRAME_SIZE of 0", raw(http2.FrameSettings, 0, 0, "\x00\x05\x00\x00\x00\x00"), "GOAWAY PROTOCOL_ERROR"},
		{"window over 2^31-1", raw(http2.FrameSettings, 0, 0, "\x00\x04\x80\x00\x00\x00"), "GOAWAY FLOW_CONTROL_ERROR"},
		{"ENABLE_PUSH of 2", raw(http2.FrameSettings, 0, 0, "\x00\x02\x00\x00\x00\x02"), "GOAWAY PROTOCOL_ERROR"},
		{"many settings", raw(http2.FrameSettings, 0, 0, strings.Repeat("\x00\x09\x00\x00\x00\x02", 33)), "GOAWAY ENHANCE_YOUR_CALM"},
		{"PUSH_PROMISE", raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02"), "GOAWAY PROTOCOL_ERROR"},
		{"WINDOW_UPDATE by 0", raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00"), "GOAWAY PROTOCOL_ERROR"},
		{"WINDOW_UPDATE of 3 bytes", raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00"), "GOAWAY FRAME_SIZE_ERROR"},
		{"WINDOW_UPDATE over 2^31-1", raw(http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff"), "GOAWAY FLOW_CONTROL_ERROR"},
		{"WINDOW_UPDATE on idle stream", raw(http2.FrameWindowUpdate, 0, 9, "\x00\x00\x00\x01"), "GOAWAY PROTOCOL_ERROR"},
		{"RST_STREAM on idle stream", raw(http2.FrameRSTStream, 0, 9, "\x00\x00\x00\x01"), "GOAWAY PROTOCOL_ERROR"},
		{"RST_STREAM of 3 bytes", raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00"), "GOAWAY FRAME_SIZE_ERROR"},
		{"GOAWAY of 7 bytes", raw(http2.FrameGoAway, 0, 0, "1234567"), "GOAWAY FRAME_SIZE_ERROR"},
		{"large frame", func(p *peer) { p.bytes("\xff\xff\xff\x00\x00\x00\x00\x00\x01") }, "GOAWAY FRAME_SIZE_ERROR"},
		{"unknown type", raw(0xfe, 0xff, 7, "anything"), ""},
		{"PRIORITY", raw(http2.FramePriority, 0, 7, "12345"), ""},
		{"PRIORITY of 4 bytes", raw(http2.FramePriority, 0, 7, "1234"), "RST_STREAM FRAME_SIZE_ERROR"},
		{"DATA within a header block", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, "\x82")(p)
			raw(http2.FrameData, 0, 1, "x")(p)
		}, "GOAWAY PROTOCOL_ERROR"},
		{"many CONTINUATION frames", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, "\x82")(p)
			for range 9 {
				raw(http2.FrameContinuation, 0, 1, "")(p)
			}
		}, "GOAWAY ENHANCE_YOUR_CALM"},
		{"large header block", func(p *peer) {
			raw(http2.FrameHeaders, 0, 1, "\x82")(p)
			for range 3 {
				raw(http2.FrameContinuation, 0, 1, strings.Repeat("\x82", 16<<10))(p)
			}
		}, "GOAWAY ENHANCE_YOUR_CALM"},
		{"stream id that falls", func(p *peer) {
			p.headers(5, true, requestFields...)
			p.headers(3, true, requestFields...)
		}, "GOAWAY PROTOCOL_ERROR"},
		{"window of a stream overrun", func(p *peer) {
			p.headers(1, false, requestFields...)
			p.sendData(1, false, make([]byte, 16<<10))
			for range 4 {
				p.sendData(1, false, make([]byte, 16<<10))
			}
		}, "RST_STREAM FLOW_CONTROL_ERROR"},
		{"DATA behind the end", func(p *peer) {
			p.headers(1, true, requestFields...)
			p.sendData(1, false, []byte("x"))
		}, "RST_STREAM STREAM_CLOSED"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				block := make(chan struct{})
				h := &recorder{serve: func(*Stream) { <-block }}
				defer close(block)
				_, p := newConn(t, h, true, Limits{StreamWindow: defaultWindow})
				p.got()
				tt.do(p)
				got := p.got()
				if tt.want == "" {
					if err := h.ended(); err != nil || len(got) > 0 {
						t.Errorf("got %q, %v; want nothing", got, err)
					}
					return
				}
				if len(got) == 0 || got[len(got)-1] != tt.want {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if goes := strings.HasPrefix(tt.want, "RST"); goes != (h.ended() == nil) {
					t.Errorf("the connection's end: %v", h.ended())
				}
			})
		})
	}
}

// TestNotHTTP2: a client that speaks something else, or not at all.
func TestNotHTTP2(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		start := time.Now()
		_, p := newConnRaw(t, h, Limits{})
		p.bytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
		synctest.Wait()
		if err := h.ended(); err == nil || !strings.Contains(err.Error(), "preface") {
			t.Errorf("HTTP/1.1: %v", err)
		}
		h = &recorder{}
		_, p = newConnRaw(t, h, Limits{})
		p.bytes(Preface[:10])
		time.Sleep(9 * time.Second)
		synctest.Wait()
		if err := h.ended(); err != nil {
			t.Errorf("after 9 s: %v", err)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		var ce *ConnError
		if err := h.ended(); !errors.As(err, &ce) || ce.Code != SettingsTimeout {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

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
		}
		synctest.Wait()
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
