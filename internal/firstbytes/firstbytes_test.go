package firstbytes

import (
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

var (
	settingsFrame = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"
	kestrelAnswer = "\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0d"
)

var words = Words{AddTLS: "TURN IT ON", DropTLS: "TURN IT OFF"}

func TestSee(t *testing.T) {
	for _, tt := range []struct {
		speaks Speech
		bytes  string
		kind   Kind
		text   string // a part of it
	}{
		{HTTP2, settingsFrame, right, ""},
		{HTTP2, "\x00\x00\x00\x04\x00\x00\x00\x00\x00", right, ""},
		{HTTP2, kestrelAnswer, HTTP1Only, "listenOptions.Protocols = HttpProtocols.Http2"},
		{HTTP2, strings.Replace(kestrelAnswer, "\x0d", "\x0b", 1), GoAway, "GOAWAY with ENHANCE_YOUR_CALM"},
		{HTTP2, "HTTP/1.1 400 Bad Request\r\nConn", HTTP1, "'HTTP/1.1 400 Bad Request'..."},
		{HTTP2, "HTTP/1.1 200 OK\r\nConnection: x", HTTP1, "'HTTP/1.1 200 OK')"},
		{HTTP2, "\x15\x03\x01\x00\x02\x02\x46", WantsTLS, "TURN IT ON"},
		{HTTP2, "\x16\x03\x03\x00\x7a", WantsTLS, "speaks TLS"},
		{HTTP2, "Hello, world", NotHTTP2, "'Hello, world'"},
		{HTTP2, "\x00\x00\x06\x01\x00\x00\x00\x00\x00", NotHTTP2, "000006010000000000 in hexadecimal"},
		{HTTP2, "\x00\x00\x05\x04\x00\x00\x00\x00\x00", NotHTTP2, ""}, // 5 is not a multiple of 6
		{HTTP2, "\x00\x00\x00\x04\x01\x00\x00\x00\x00", NotHTTP2, ""}, // an ACK of nothing
		{TLS, "\x16\x03\x03\x00\x7a", right, ""},
		{TLS, "\x15\x03\x01\x00\x02\x02\x46", right, ""}, // crypto/tls explains an alert
		{TLS, settingsFrame, PlainHTTP2, "TURN IT OFF, or enable TLS"},
		{TLS, "HTTP/1.1 400 Bad Request\r\n", PlainHTTP1, "plain HTTP/1.1"},
		{TLS, "garbage", NotTLS, "'garbage'"},
	} {
		// All at once, and byte by byte: the verdict may come early, but must
		// come and be the same.
		for _, step := range []int{len(tt.bytes), 1} {
			var done bool
			var fault *Fault
			for n := step; n <= len(tt.bytes) && !done; n += step {
				done, fault = See(tt.speaks, []byte(tt.bytes[:n]), nil)
			}
			switch {
			case !done:
				t.Errorf("%q by %d: no verdict", tt.bytes, step)
			case kindOf(fault) != tt.kind:
				t.Errorf("%q by %d: %v, want %v", tt.bytes, step, kindOf(fault), tt.kind)
			case fault != nil && step > 1 && !strings.Contains(fault.Text(words, 0), tt.text):
				t.Errorf("%q: %q isn't in %s", tt.bytes, tt.text, fault.Text(words, 0))
			}
		}
	}
}

func kindOf(f *Fault) Kind {
	if f == nil {
		return right
	}
	return f.Kind
}

func TestSeeErrors(t *testing.T) {
	late := &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}
	for _, tt := range []struct {
		speaks Speech
		bytes  string
		err    error
		kind   Kind
		text   string
	}{
		{HTTP2, "", io.EOF, Closed, "it may want TLS (TURN IT ON)"},
		{TLS, "", io.EOF, Closed, "it may speak no TLS (TURN IT OFF)"},
		{HTTP2, "\x00", io.EOF, right, ""},
		{HTTP2, "", net.ErrClosed, right, ""},
		{HTTP2, "", late, Silent, "sent nothing in 500ms: see whether"},
		{TLS, "", late, Silent, "a gRPC server with TLS"},
		{HTTP2, "HTT", late, Silent, "sent only 'HTT' in 500ms"},
	} {
		done, fault := See(tt.speaks, []byte(tt.bytes), tt.err)
		if !done || kindOf(fault) != tt.kind {
			t.Errorf("%q, %v: %v, %v", tt.bytes, tt.err, done, kindOf(fault))
		} else if fault != nil && !strings.Contains(fault.Text(words, 480*time.Millisecond), tt.text) {
			t.Errorf("%q, %v: %s", tt.bytes, tt.err, fault.Text(words, 480*time.Millisecond))
		}
	}
	if done, fault := See(HTTP2, nil, nil); done || fault != nil {
		t.Error("a verdict on nothing")
	}
}

// Whatever a server begins with, there is a verdict, and a text that is safe to
// print.
func FuzzSee(f *testing.F) {
	f.Add(false, []byte(settingsFrame))
	f.Add(false, []byte(kestrelAnswer))
	f.Add(false, []byte("HTTP/1.1 400"))
	f.Add(true, []byte("\x16\x03\x01"))
	f.Fuzz(func(t *testing.T, withTLS bool, b []byte) {
		speaks := HTTP2
		if withTLS {
			speaks = TLS
		}
		done, fault := See(speaks, b, nil)
		if fault != nil && !done || len(b) >= Enough && !done {
			t.Errorf("no verdict on %q", b)
		}
		if fault == nil {
			return
		}
		text := fault.Text(words, time.Second)
		for _, c := range []byte(text) {
			if c < ' ' || c > '~' {
				t.Fatalf("%q in a text for people: %s", c, text)
			}
		}
	})
}
