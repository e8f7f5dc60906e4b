package h2

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// raw writes a frame as it is.
func raw(typ http2.FrameType, flags http2.Flags, id uint32, b string) func(*peer) {
	return func(p *peer) { p.write(func() error { return p.fr.WriteRawFrame(typ, flags, id, []byte(b)) }) }
}

// breaches are what a client does, and what it gets for it.
var breaches = []struct {
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
}

// TestBreaches: each breach of the protocol ends the connection with its code,
// or the stream.
func TestBreaches(t *testing.T) {
	t.Parallel()
	for _, tt := range breaches {
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
