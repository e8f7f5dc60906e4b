package grpcpipe

import (
	"strings"
	"testing"
)

var (
	settingsFrame = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"
	kestrelAnswer = "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0d"
)

func TestDiagnose(t *testing.T) {
	for _, tt := range []struct {
		speaks int32
		bytes  string
		fault  string // a part of it; "" if the bytes are right
	}{
		{speaksHTTP2, settingsFrame, ""},
		{speaksNothing, settingsFrame, ""},
		{speaksHTTP2, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", ""},
		{speaksHTTP2, kestrelAnswer, "listenOptions.Protocols = HttpProtocols.Http2"},
		{speaksHTTP2, strings.Replace(kestrelAnswer, "\x0d", "\x0b", 1), "GOAWAY with code 0xb"},
		{speaksHTTP2, "HTTP/1.1 400 Bad Request\r\nConn", "HTTP/1.1"},
		{speaksHTTP2, "\x15\x03\x01\x00\x02\x02\x46", "speaks TLS"},
		{speaksHTTP2, "\x16\x03\x03\x00\x7a", "speaks TLS"},
		{speaksHTTP2, "Hello, world", "'Hello, world'"},
		{speaksHTTP2, "\x00\x00\x06\x01\x00\x00\x00\x00\x00", "doesn't speak HTTP/2"},
		{speaksHTTP2, "\x00\x00\x05\x04\x00\x00\x00\x00\x00", "doesn't speak HTTP/2"}, // 5 is not a multiple of 6
		{speaksHTTP2, "\x00\x00\x00\x04\x01\x00\x00\x00\x00", "doesn't speak HTTP/2"}, // an ACK of nothing
		{speaksTLS, "\x16\x03\x03\x00\x7a", ""},
		{speaksTLS, "\x15\x03\x01\x00\x02\x02\x46", ""}, // crypto/tls explains an alert
		{speaksTLS, settingsFrame, "the server HTTP/2 without TLS"},
		{speaksTLS, "HTTP/1.1 400 Bad Request\r\n", "plain HTTP/1.1"},
		{speaksTLS, "garbage", "'garbage'"},
		{speaksOther, "garbage", ""},
	} {
		// All at once, and byte by byte: the verdict may come early, but must
		// come and be the same kind.
		for _, step := range []int{len(tt.bytes), 1} {
			done, fault := false, ""
			for n := step; n <= len(tt.bytes) && !done && fault == ""; n += step {
				done, fault = diagnose(tt.speaks, []byte(tt.bytes[:n])[:min(n, maxFirst)])
			}
			switch {
			case tt.fault == "" && (!done || fault != ""):
				t.Errorf("%q by %d: done %v, fault %q", tt.bytes, step, done, fault)
			case tt.fault != "" && fault == "":
				t.Errorf("%q by %d: no fault found", tt.bytes, step)
			case step > 1 && !strings.Contains(fault, tt.fault):
				t.Errorf("%q: fault %q, want %q in it", tt.bytes, fault, tt.fault)
			}
		}
	}
}

func FuzzDiagnose(f *testing.F) {
	f.Add(int32(1), []byte(settingsFrame))
	f.Add(int32(1), []byte(kestrelAnswer))
	f.Add(int32(2), []byte("\x16\x03\x01"))
	f.Fuzz(func(t *testing.T, speaks int32, b []byte) {
		if len(b) == 0 {
			return
		}
		b = b[:min(len(b), maxFirst)]
		done, fault := diagnose(speaks&3, b)
		if done && fault != "" {
			t.Error("right and wrong at once")
		}
		if len(b) == maxFirst && !done && fault == "" {
			t.Errorf("no verdict on %q", b)
		}
		for _, c := range []byte(fault) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q in a text for people: %s", c, fault)
			}
		}
	})
}
