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
	why  string // part of the connection's error, which tells one check from another
}{
	{"DATA on stream 0", raw(http2.FrameData, 0, 0, "x"), "GOAWAY PROTOCOL_ERROR", "DATA on stream 0"},
	{"DATA on idle stream", raw(http2.FrameData, 0, 9, "x"), "GOAWAY PROTOCOL_ERROR", "never opened"},
	{"too much padding", raw(http2.FrameData, http2.FlagDataPadded, 1, "\x05abc"), "GOAWAY PROTOCOL_ERROR", "more padding"},
	{"HEADERS on stream 0", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, ""), "GOAWAY PROTOCOL_ERROR", "HEADERS on stream 0"},
	{"HEADERS on even stream", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 2, "\x82"), "GOAWAY PROTOCOL_ERROR", "a client's HEADERS on stream 2"},
	{"bad header block", raw(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 1, "\x80"), "GOAWAY COMPRESSION_ERROR", "malformed"},
	{"CONTINUATION alone", raw(http2.FrameContinuation, 0, 1, ""), "GOAWAY PROTOCOL_ERROR", "without HEADERS"},
	{"PING of 7 bytes", raw(http2.FramePing, 0, 0, "1234567"), "GOAWAY FRAME_SIZE_ERROR", "PING of 7"},
	{"PING on stream", raw(http2.FramePing, 0, 1, "12345678"), "GOAWAY PROTOCOL_ERROR", "PING on stream"},
	{"SETTINGS of 5 bytes", raw(http2.FrameSettings, 0, 0, "12345"), "GOAWAY FRAME_SIZE_ERROR", "SETTINGS of 5"},
	{"SETTINGS on stream", raw(http2.FrameSettings, 0, 1, ""), "GOAWAY PROTOCOL_ERROR", "SETTINGS on stream"},
	{"SETTINGS ack with bytes", raw(http2.FrameSettings, http2.FlagSettingsAck, 0, "123456"), "GOAWAY FRAME_SIZE_ERROR", "acknowledgment"},
	{"MAX_FRAME_SIZE of 0", raw(http2.FrameSettings, 0, 0, "\x00\x05\x00\x00\x00\x00"), "GOAWAY PROTOCOL_ERROR", "MAX_FRAME_SIZE"},
	{"window over 2^31-1", raw(http2.FrameSettings, 0, 0, "\x00\x04\x80\x00\x00\x00"), "GOAWAY FLOW_CONTROL_ERROR", "initial window"},
	{"ENABLE_PUSH of 2", raw(http2.FrameSettings, 0, 0, "\x00\x02\x00\x00\x00\x02"), "GOAWAY PROTOCOL_ERROR", "ENABLE_PUSH"},
	{"many settings", raw(http2.FrameSettings, 0, 0, strings.Repeat("\x00\x09\x00\x00\x00\x02", 33)), "GOAWAY ENHANCE_YOUR_CALM", "33 settings"},
	{"PUSH_PROMISE", raw(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02"), "GOAWAY PROTOCOL_ERROR", "PUSH_PROMISE"},
	{"WINDOW_UPDATE by 0", raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00"), "GOAWAY PROTOCOL_ERROR", "by nothing"},
	{"WINDOW_UPDATE of 3 bytes", raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00"), "GOAWAY FRAME_SIZE_ERROR", "of 3 bytes"},
	{"WINDOW_UPDATE over 2^31-1", raw(http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff"), "GOAWAY FLOW_CONTROL_ERROR", "over 2^31-1"},
	{"WINDOW_UPDATE on idle stream", raw(http2.FrameWindowUpdate, 0, 9, "\x00\x00\x00\x01"), "GOAWAY PROTOCOL_ERROR", "WINDOW_UPDATE on stream 9, which"},
	{"RST_STREAM on idle stream", raw(http2.FrameRSTStream, 0, 9, "\x00\x00\x00\x01"), "GOAWAY PROTOCOL_ERROR", "RST_STREAM on stream 9, which"},
	{"RST_STREAM of 3 bytes", raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00"), "GOAWAY FRAME_SIZE_ERROR", "RST_STREAM of 3"},
	{"GOAWAY of 7 bytes", raw(http2.FrameGoAway, 0, 0, "1234567"), "GOAWAY FRAME_SIZE_ERROR", "GOAWAY of 7"},
	{"large frame", func(p *peer) { p.bytes("\xff\xff\xff\x00\x00\x00\x00\x00\x01") }, "GOAWAY FRAME_SIZE_ERROR", "a frame of 16777215 bytes"},
	{"unknown type", raw(0xfe, 0xff, 7, "anything"), "", ""},
	{"PRIORITY", raw(http2.FramePriority, 0, 7, "12345"), "", ""},
	{"PRIORITY of 4 bytes", raw(http2.FramePriority, 0, 7, "1234"), "RST_STREAM FRAME_SIZE_ERROR", ""},
	{"DATA within a header block", func(p *peer) {
		raw(http2.FrameHeaders, 0, 1, "\x82")(p)
		raw(http2.FrameData, 0, 1, "x")(p)
	}, "GOAWAY PROTOCOL_ERROR", "within the header block"},
	{"many CONTINUATION frames", func(p *peer) {
		raw(http2.FrameHeaders, 0, 1, "\x82")(p)
		for range 9 {
			raw(http2.FrameContinuation, 0, 1, "")(p)
		}
	}, "GOAWAY ENHANCE_YOUR_CALM", "a header block of more"},
	{"large header block", func(p *peer) {
		raw(http2.FrameHeaders, 0, 1, "\x82")(p)
		for range 3 {
			raw(http2.FrameContinuation, 0, 1, strings.Repeat("\x82", 16<<10))(p)
		}
	}, "GOAWAY ENHANCE_YOUR_CALM", "a header block of more"},
	{"stream id that falls", func(p *peer) {
		p.headers(5, true, requestFields...)
		p.headers(3, true, requestFields...)
	}, "GOAWAY PROTOCOL_ERROR", "HEADERS on stream 3 after stream 5"},
	{"window of a stream overrun", func(p *peer) {
		p.headers(1, false, requestFields...)
		p.sendData(1, false, make([]byte, 16<<10))
		for range 4 {
			p.sendData(1, false, make([]byte, 16<<10))
		}
	}, "RST_STREAM FLOW_CONTROL_ERROR", ""},
	{"DATA behind the end", func(p *peer) {
		p.headers(1, true, requestFields...)
		p.sendData(1, false, []byte("x"))
	}, "RST_STREAM STREAM_CLOSED", ""},
	{"PRIORITY on stream 0", raw(http2.FramePriority, 0, 0, "12345"), "GOAWAY PROTOCOL_ERROR", "PRIORITY on stream 0"},
	{"PRIORITY of 6 bytes", raw(http2.FramePriority, 0, 7, "123456"), "RST_STREAM FRAME_SIZE_ERROR", ""},
	{"PRIORITY on itself", raw(http2.FramePriority, 0, 7, "\x00\x00\x00\x071"), "GOAWAY PROTOCOL_ERROR", "depends on itself"},
	{"padded HEADERS of no bytes", raw(http2.FrameHeaders, http2.FlagHeadersPadded, 1, ""), "GOAWAY FRAME_SIZE_ERROR", "padded HEADERS"},
	{"HEADERS with half a priority", raw(http2.FrameHeaders, http2.FlagHeadersPriority, 1, "1234"), "GOAWAY FRAME_SIZE_ERROR", "too short"},
	{"HEADERS on itself", raw(http2.FrameHeaders, http2.FlagHeadersPriority, 1, "\x00\x00\x00\x011"), "GOAWAY PROTOCOL_ERROR", "depends on itself"},
	{"HEADERS with too much padding", raw(http2.FrameHeaders, http2.FlagHeadersPadded, 1, "\x05abc"), "GOAWAY PROTOCOL_ERROR", "HEADERS with more padding"},
	{"HEADERS behind the end", func(p *peer) {
		p.headers(1, true, requestFields...)
		p.headers(1, true, requestFields...)
	}, "RST_STREAM STREAM_CLOSED", ""},
	{"HEADERS behind the end of an answered call", func(p *peer) {
		p.headers(1, true, requestFields...)
		raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00\x08")(p)
		p.headers(1, true, requestFields...)
	}, "GOAWAY STREAM_CLOSED", "which the client has ended"},
	{"a name in capitals", func(p *peer) {
		p.headers(1, true, append(requestFields[:len(requestFields):len(requestFields)], "Capital", "x")...)
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"a name in capitals by its index", func(p *peer) {
		p.headers(1, true, append(requestFields[:len(requestFields):len(requestFields)], "Capital", "x")...)
		p.got()
		p.headers(3, true, append(requestFields[:len(requestFields):len(requestFields)], "Capital", "x")...)
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"a name in capitals by its index with another value", func(p *peer) {
		p.headers(1, true, append(requestFields[:len(requestFields):len(requestFields)], "Capital", "x")...)
		p.got()
		p.headers(3, true, append(requestFields[:len(requestFields):len(requestFields)], "Capital", "y")...)
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"trailers without an end", func(p *peer) {
		p.headers(1, false, requestFields...)
		p.headers(1, false, "a", "b")
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"trailers with a pseudo field", func(p *peer) {
		p.headers(1, false, requestFields...)
		p.headers(1, true, ":path", "/s/m")
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"trailers with a name in capitals", func(p *peer) {
		p.headers(1, false, requestFields...)
		p.headers(1, true, "Capital", "x")
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"DATA behind the end of a reset call", func(p *peer) {
		p.headers(1, true, requestFields...)
		raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00\x08")(p)
		p.sendData(1, false, []byte("x"))
	}, "RST_STREAM STREAM_CLOSED", ""},
	{"padded DATA of no bytes", func(p *peer) {
		p.headers(1, false, requestFields...)
		raw(http2.FrameData, http2.FlagDataPadded, 1, "")(p)
	}, "GOAWAY FRAME_SIZE_ERROR", "padded DATA"},
	{"window of the connection overrun", func(p *peer) {
		for id := uint32(1); id < 21; id += 2 {
			p.headers(id, false, requestFields...)
			p.sendData(id, false, make([]byte, 16000))
			p.sendData(id, false, make([]byte, 16000))
		}
	}, "GOAWAY FLOW_CONTROL_ERROR", "the connection's window"},
	{"RST_STREAM of 5 bytes", raw(http2.FrameRSTStream, 0, 1, "12345"), "GOAWAY FRAME_SIZE_ERROR", "RST_STREAM of 5"},
	{"RST_STREAM on stream 0", raw(http2.FrameRSTStream, 0, 0, "\x00\x00\x00\x08"), "GOAWAY PROTOCOL_ERROR", "RST_STREAM on stream 0"},
	{"PING of 9 bytes", raw(http2.FramePing, 0, 0, "123456789"), "GOAWAY FRAME_SIZE_ERROR", "PING of 9"},
	{"GOAWAY on stream", raw(http2.FrameGoAway, 0, 1, "12345678"), "GOAWAY PROTOCOL_ERROR", "GOAWAY on stream"},
	{"WINDOW_UPDATE of 5 bytes", raw(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x01\x00"), "GOAWAY FRAME_SIZE_ERROR", "of 5 bytes"},
	{"WINDOW_UPDATE by 0 on stream", func(p *peer) {
		p.headers(1, true, requestFields...)
		raw(http2.FrameWindowUpdate, 0, 1, "\x00\x00\x00\x00")(p)
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"WINDOW_UPDATE by 0 on a stream that was reset", func(p *peer) {
		p.headers(1, true, requestFields...)
		raw(http2.FrameRSTStream, 0, 1, "\x00\x00\x00\x08")(p)
		raw(http2.FrameWindowUpdate, 0, 1, "\x00\x00\x00\x00")(p)
	}, "RST_STREAM PROTOCOL_ERROR", ""},
	{"WINDOW_UPDATE over 2^31-1 on stream", func(p *peer) {
		p.headers(1, true, requestFields...)
		raw(http2.FrameWindowUpdate, 0, 1, "\x7f\xff\xff\xff")(p)
	}, "RST_STREAM FLOW_CONTROL_ERROR", ""},
	{"a stream's window over 2^31-1 by SETTINGS", func(p *peer) {
		p.headers(1, true, requestFields...)
		raw(http2.FrameWindowUpdate, 0, 1, "\x7f\xff\x00\x00")(p)
		raw(http2.FrameSettings, 0, 0, "\x00\x04\x00\x01\x00\x00")(p)
	}, "GOAWAY FLOW_CONTROL_ERROR", "the window of stream 1"},
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
				_, p := newConn(t, h, true, Limits{StreamWindow: defaultWindow, ConnWindow: 4 * defaultWindow})
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
				} else if !goes && !strings.Contains(h.ended().Error(), tt.why) {
					t.Errorf("the connection ended by %q, want %q", h.ended(), tt.why)
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
