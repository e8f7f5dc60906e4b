package firstbytes

import (
	"bytes"
	"fmt"
	"time"
)

// kestrel is what mends a Kestrel that takes HTTP/1.1 only.
const kestrel = "in its ListenNamedPipe or ListenUnixSocket write listenOptions.Protocols = HttpProtocols.Http2"

// Words are the caller's own: how its user turns TLS on and off.
type Words struct {
	AddTLS, DropTLS string
}

// Text says what is wrong and what to do about it. allowed is the time that the
// server had.
func (f *Fault) Text(w Words, allowed time.Duration) string {
	plain := ": " + w.DropTLS + ", or enable TLS in the server"
	switch f.Kind {
	case PlainHTTP1:
		return "this client speaks TLS and the server plain HTTP/1.1 (it answered " + quote(f.first) + ")" + plain
	case PlainHTTP2:
		return "this client speaks TLS and the server HTTP/2 without TLS" + plain
	case NotTLS:
		return "this client speaks TLS and the server doesn't: its first bytes are " + quote(f.first) + plain
	case WantsTLS:
		return "the server speaks TLS and this client doesn't: " + w.AddTLS
	case HTTP1:
		return "the server speaks HTTP/1.1, not HTTP/2 (it answered " + quote(f.first) + "): it is not a gRPC server, or HTTP/2 without TLS isn't enabled in it; " +
			"for Kestrel, " + kestrel
	case HTTP1Only:
		return "the server takes HTTP/1.1 only, as Kestrel does by default without TLS (it answered GOAWAY with HTTP_1_1_REQUIRED): " + kestrel
	case GoAway:
		return fmt.Sprintf("the server ended the connection before it began (GOAWAY with %v): see its log", f.code)
	case Closed:
		return f.closed(w)
	case Silent:
		return f.silent(allowed)
	}
	return "the server doesn't speak HTTP/2: its first bytes are " + quote(f.first) + ", so it is not a gRPC server; check the name"
}

func (f *Fault) closed(w Words) string {
	if f.speaks == TLS {
		return "the server closed the connection before it answered the TLS handshake: it may speak no TLS (" + w.DropTLS + "), be shutting down, or refuse this client; see its log"
	}
	return "the server closed the connection before it sent its HTTP/2 settings: it may want TLS (" + w.AddTLS + "), be shutting down, refuse this client, or be no gRPC server; see its log"
}

func (f *Fault) silent(allowed time.Duration) string {
	// The dial took a little of it: what is meant is the next round figure.
	allowed = (allowed + 99*time.Millisecond).Truncate(100 * time.Millisecond)
	if len(f.first) > 0 {
		return fmt.Sprintf("the server sent only %s in %v: is it a gRPC server?", quote(f.first), allowed)
	}
	with := ""
	if f.speaks == TLS {
		with = " with TLS"
	}
	return fmt.Sprintf("the server accepted the connection but sent nothing in %v: is it a gRPC server%s, and is it overloaded or stopped?", allowed, with)
}

// quote shows the first bytes of a server: short, safe to print, and without the
// double quotes and backslashes that grpc would escape in its own text.
func quote(b []byte) string {
	more := ""
	if len(b) >= Enough {
		b, more = b[:Enough], "..."
	}
	line, _, cut := bytes.Cut(b, []byte("\r\n"))
	if cut {
		more = ""
	}
	for _, c := range line {
		if c < ' ' || c > '~' || c == '\\' || c == '"' || c == '\'' {
			return fmt.Sprintf("%x%s", b, more) + " in hexadecimal"
		}
	}
	return "'" + string(line) + "'" + more
}
