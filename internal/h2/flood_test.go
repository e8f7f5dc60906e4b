package h2

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// TestFloods: a burst of frames without progress is within the limit, a longer
// one ends the connection; each kind by itself.
func TestFloods(t *testing.T) {
	t.Parallel()
	const limit = 20
	for _, tt := range []struct {
		name   string
		client bool // the flooded end
		do     func(p *peer, i uint32)
		why    string
	}{
		{"PRIORITY", false, func(p *peer, i uint32) { raw(http2.FramePriority, 0, 7, "12345")(p) }, "without progress"},
		{"unknown type", false, func(p *peer, i uint32) { raw(0xfe, 0, 7, "x")(p) }, "without progress"},
		{"SETTINGS", false, func(p *peer, i uint32) { raw(http2.FrameSettings, 0, 0, "")(p) }, "without progress"},
		{"SETTINGS ack", false, func(p *peer, i uint32) { raw(http2.FrameSettings, http2.FlagSettingsAck, 0, "")(p) }, "without progress"},
		{"PING", false, func(p *peer, i uint32) {
			time.Sleep(time.Microsecond)
			raw(http2.FramePing, 0, 0, "12345678")(p)
		}, "without progress"},
		{"GOAWAY", false, func(p *peer, i uint32) { raw(http2.FrameGoAway, 0, 0, "12345678")(p) }, "without progress"},
		{"WINDOW_UPDATE", false, func(p *peer, i uint32) { raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x01")(p) }, "without progress"},
		{"empty DATA", false, func(p *peer, i uint32) {
			if i == 0 {
				p.headers(1, false, requestFields...)
			}
			p.sendData(1, false, nil)
		}, "without progress"},
		{"1xx", true, func(p *peer, i uint32) { p.headers(1, false, ":status", "103") }, "without progress"},
		{"resets", false, func(p *peer, i uint32) {
			p.headers(2*i+1, false, requestFields...)
			raw(http2.FrameRSTStream, 0, 2*i+1, "\x00\x00\x00\x08")(p)
		}, "streams were reset"},
		{"resets by us", false, func(p *peer, i uint32) {
			p.headers(2*i+1, true, append(requestFields[:len(requestFields):len(requestFields)], "Capital", "x")...)
		}, "streams were reset"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &recorder{serve: func(st *Stream) { st.WaitEnd(context.Background()) }}
				c, p := newConn(t, h, !tt.client, Limits{
					Glitches: limit, GlitchesPerSecond: 1, Resets: limit, ResetsPerSecond: 1, PingInterval: time.Nanosecond,
				})
				if tt.client {
					defer open(t, c, &Write{}).Release(Cancel)
				}
				for i := range uint32(limit - 5) {
					tt.do(p, i)
				}
				synctest.Wait()
				if err := h.ended(); err != nil {
					t.Fatalf("a burst within the limit: %v", err)
				}
				for i := range uint32(limit) {
					p.conn.SetWriteDeadline(time.Now().Add(time.Second))
					if h.ended() == nil {
						tt.do(p, limit-5+i)
					}
					synctest.Wait()
				}
				if err := h.ended(); err == nil || !strings.Contains(err.Error(), tt.why) {
					t.Errorf("the flood: %v, want %q", err, tt.why)
				}
			})
		})
	}
}

// TestGlitchesBesideCalls: pings beside calls are no flood.
func TestGlitchesBesideCalls(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{serve: func(st *Stream) { st.Send(context.Background(), &Write{End: true}) }}
		_, p := newConn(t, h, true, Limits{Glitches: 20, GlitchesPerSecond: 1, PingInterval: time.Nanosecond})
		for i := range uint32(50) {
			p.headers(2*i+1, true, requestFields...)
			time.Sleep(time.Microsecond)
			raw(http2.FramePing, 0, 0, "12345678")(p)
			synctest.Wait()
		}
		if err := h.ended(); err != nil {
			t.Error(err)
		}
	})
}

// TestBusyHandlers: who resets its calls does not get more handlers for that than
// twice the limit of streams, until they return.
func TestBusyHandlers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		block, began := make(chan struct{}), make(chan struct{}, 100)
		h := &recorder{serve: func(*Stream) { began <- struct{}{}; <-block }}
		_, p := newConn(t, h, true, Limits{Streams: 2})
		p.got()
		for i := range uint32(6) {
			p.headers(2*i+1, true, requestFields...)
			raw(http2.FrameRSTStream, 0, 2*i+1, "\x00\x00\x00\x08")(p)
		}
		refused := strings.Count(strings.Join(p.got(), ";"), "RST_STREAM REFUSED_STREAM")
		if n := len(began); n != 4 || refused != 2 {
			t.Errorf("%d handlers, %d calls refused", n, refused)
		}
		close(block)
	})
}

// TestDeadlinesEnd: the times for the preface and for a header block end with
// them: a silent connection goes on.
func TestDeadlinesEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{serve: func(*Stream) {}}
		_, p := newConn(t, h, true, Limits{})
		time.Sleep(time.Minute)
		if err := h.ended(); err != nil {
			t.Fatalf("after the handshake: %v", err)
		}
		block := p.block(requestFields...)
		raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 1, string(block[:5]))(p)
		raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, string(block[5:]))(p)
		time.Sleep(time.Minute)
		if err := h.ended(); err != nil {
			t.Fatalf("after a header block: %v", err)
		}
	})
}

// TestInterruptWithinHeaderBlock: a reader that is called back within a header
// block goes on, and the block's time with it.
func TestInterruptWithinHeaderBlock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{serve: func(*Stream) {}}
		c, p := newConn(t, h, true, Limits{})
		block := p.block(requestFields...)
		raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 1, string(block[:5]))(p)
		synctest.Wait()
		c.car.Interrupt()
		time.Sleep(5 * time.Second)
		raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, string(block[5:]))(p)
		synctest.Wait()
		if err := h.ended(); err != nil {
			t.Fatal(err)
		}
		raw(http2.FrameHeaders, http2.FlagHeadersEndStream, 3, string(block[:5]))(p)
		synctest.Wait()
		c.car.Interrupt()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if err := h.ended(); err == nil || !strings.Contains(err.Error(), "took longer") {
			t.Errorf("after 11 s: %v", err)
		}
	})
}

// TestFirstFrame: whatever comes in place of SETTINGS ends the connection.
func TestFirstFrame(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]func(*peer){
		"PING": raw(http2.FramePing, 0, 0, "12345678"), "SETTINGS ack": raw(http2.FrameSettings, http2.FlagSettingsAck, 0, ""),
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &recorder{}
			_, p := newConnRaw(t, h, Limits{})
			p.bytes(Preface)
			first(p)
			synctest.Wait()
			if err := h.ended(); err == nil || !strings.Contains(err.Error(), "the first frame") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// newDeaf returns a server's connection to a peer that never reads.
func newDeaf(t *testing.T, h Handler, lim Limits) (*Conn, *peer) {
	t.Helper()
	a, b := net.Pipe()
	c := NewConn(NewCarrier(a), h, true, lim, NewSentinel())
	p := &peer{t: t, conn: b, fr: http2.NewFramer(b, b)}
	p.henc = hpack.NewEncoder(&p.hbuf)
	t.Cleanup(func() {
		c.Close()
		b.Close()
		time.Sleep(2 * restTicks * tickEvery)
	})
	go c.Serve()
	p.write(func() error { _, err := io.WriteString(b, Preface); return err })
	p.write(func() error { return p.fr.WriteSettings() })
	synctest.Wait()
	return c, p
}

// TestAnswersUnread: a peer that reads none of the answers that it causes is cut.
func TestAnswersUnread(t *testing.T) {
	t.Parallel()
	for name, do := range map[string]func(p *peer, i uint32){
		"PING": func(p *peer, i uint32) {
			time.Sleep(time.Microsecond)
			raw(http2.FramePing, 0, 0, "12345678")(p)
		},
		"SETTINGS": func(p *peer, i uint32) { raw(http2.FrameSettings, 0, 0, "")(p) },
		"refused stream": func(p *peer, i uint32) {
			p.headers(2*i+1, true, append(requestFields[:len(requestFields):len(requestFields)], "Capital", "x")...)
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := &recorder{}
			_, p := newDeaf(t, h, Limits{QueuedControl: 20, PingInterval: time.Nanosecond})
			for i := range uint32(30) {
				if h.ended() == nil {
					do(p, i)
				}
				synctest.Wait()
			}
			if err := h.ended(); err == nil || !strings.Contains(err.Error(), "answers wait") {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// TestWriteStall: a peer that reads nothing is given up after a while, and until
// then no more is queued than the limit.
func TestWriteStall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		sent := make(chan struct{}, 1000)
		h := &recorder{serve: func(st *Stream) {
			for st.Send(context.Background(), &Write{Payload: Payload{B: message(10_000)}}) == nil {
				sent <- struct{}{}
			}
		}}
		_, p := newDeaf(t, h, Limits{QueuedBytes: 50_000, WriteStall: time.Minute})
		p.write(func() error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1 << 30})
		})
		p.write(func() error { return p.fr.WriteWindowUpdate(0, 1<<30) })
		p.headers(1, true, requestFields...)
		time.Sleep(50 * time.Second)
		if n := len(sent); n > 10 {
			t.Errorf("%d messages of 10 kB are queued", n)
		}
		if err := h.ended(); err != nil {
			t.Fatalf("after 50 s: %v", err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if err := h.ended(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("after 70 s: %v", err)
		}
	})
}

// TestBadServers: what a server does that it may not, and how the call or the
// connection ends.
func TestBadServers(t *testing.T) {
	t.Parallel()
	ok := []string{":status", "200", "content-type", "application/grpc"}
	for _, tt := range []struct {
		name   string
		do     func(*peer)
		conn   string // the connection's error
		stream string // or the stream's
	}{
		{"HEADERS on a stream of nobody's", func(p *peer) { p.headers(9, true, ok...) }, "HEADERS on stream 9, which", ""},
		{"DATA before HEADERS", func(p *peer) { p.sendData(1, false, []byte("x")) }, "", "PROTOCOL_ERROR"},
		{"two heads", func(p *peer) { p.headers(1, false, ok...); p.headers(1, false, ok...) }, "", "PROTOCOL_ERROR"},
		{"a name in capitals", func(p *peer) { p.headers(1, false, "Capital", "x") }, "", "PROTOCOL_ERROR"},
		{"GOAWAY that grows", func(p *peer) {
			p.write(func() error { return p.fr.WriteGoAway(3, http2.ErrCodeNo, nil) })
			p.write(func() error { return p.fr.WriteGoAway(5, http2.ErrCodeNo, nil) })
		}, "GOAWAY up to stream 5", ""},
		{"GOAWAY of an even stream", func(p *peer) {
			p.write(func() error { return p.fr.WriteGoAway(2, http2.ErrCodeNo, nil) })
		}, "GOAWAY up to stream 2", ""},
		{"a slow header block", func(p *peer) {
			block := p.block(ok...)
			raw(http2.FrameHeaders, 0, 1, string(block[:2]))(p)
			time.Sleep(time.Minute)
			raw(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, string(block[2:]))(p)
		}, "took longer", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &recorder{}
				c, p := newConn(t, h, false, Limits{})
				st := open(t, c, &Write{})
				tt.do(p)
				time.Sleep(time.Second)
				err := fmt.Sprint(h.ended(), st.Received().Err)
				if !strings.Contains(err, tt.conn+tt.stream) || (h.ended() != nil) != (tt.conn != "") {
					t.Errorf("%v; want %q", err, tt.conn+tt.stream)
				}
				st.Release(Cancel)
			})
		})
	}
}

// TestPeersLimits: a client keeps to the size of frames and of header lists that
// the server has set.
func TestPeersLimits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &recorder{}
		c, p := newConn(t, h, false, Limits{})
		p.write(func() error {
			return p.fr.WriteSettings(http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: 1000})
		})
		synctest.Wait()
		st := &Stream{}
		var large *HeaderListError
		w := &Write{Head: &Block{Key: "k", Head: func(string) Head { return nil }, Vary: []Field{{"name", strings.Repeat("x", 1000)}}}}
		if err := c.Open(context.Background(), st, w); !errors.As(err, &large) {
			t.Errorf("a large header list: %v", err)
		}
		p.fr.SetMaxReadFrameSize(minFrameSize)
		st = open(t, c, &Write{Payload: Payload{B: bytes.Repeat([]byte{0}, 60_000)}})
		if n := p.received(1); n != 60_000 || p.eof {
			t.Errorf("%d bytes came in frames of the size allowed", n)
		}
		st.Release(Cancel)
	})
}
