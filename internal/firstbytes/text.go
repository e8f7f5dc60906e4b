package firstbytes

import (
	"bytes"
	"fmt"
	"time"
)

// kestrel says how to configure a Kestrel that accepts HTTP/1.1 only.
const kestrel = "in Kestrel's ListenNamedPipe or ListenUnixSocket write listenOptions.Protocols = HttpProtocols.Http2"

// Words say how the caller's user turns TLS on and off.
type Words struct {
	AddTLS, DropTLS string
}

// Text says what is wrong and what to do about it. allowed is the time that the
// server had.
func (f *Fault) Text(w Words, allowed time.Duration) string {
	return f.What(allowed) + ": " + f.Next(w)
}

// What says what is wrong.
func (f *Fault) What(allowed time.Duration) string {
	switch f.Kind {
	case PlainHTTP1:
		return "this client speaks TLS and the server plain HTTP/1.1 (it answered " + quote(f.first) + ")"
	case PlainHTTP2:
		return "this client speaks TLS and the server HTTP/2 without TLS"
	case NotTLS:
		return "this client speaks TLS and the server doesn't (its first bytes are " + quote(f.first) + ")"
	case WantsTLS:
		return "the server speaks TLS and this client doesn't"
	case HTTP1:
		return "the server speaks HTTP/1.1, not HTTP/2 (it answered " + quote(f.first) + ")"
	case HTTP1Only:
		return "the server takes HTTP/1.1 only, as Kestrel does by default without TLS (it answered GOAWAY with HTTP_1_1_REQUIRED)"
	case GoAway:
		return fmt.Sprintf("the server ended the connection before it began (GOAWAY with %v)", f.code)
	case Closed:
		if f.speaks == TLS {
			return "the server closed the connection before it answered the TLS handshake"
		}
		return "the server closed the connection before it sent its HTTP/2 settings"
	case Silent:
		// Dialing took part of the time: round up to the time that was set.
		allowed = (allowed + 99*time.Millisecond).Truncate(100 * time.Millisecond)
		if len(f.first) > 0 {
			return fmt.Sprintf("the server sent only %s in %v", quote(f.first), allowed)
		}
		return fmt.Sprintf("the server accepted the connection but sent nothing in %v", allowed)
	}
	return "the server doesn't speak HTTP/2 (its first bytes are " + quote(f.first) + ")"
}

// Next says what to do about it.
func (f *Fault) Next(w Words) string {
	switch f.Kind {
	case PlainHTTP1, PlainHTTP2, NotTLS:
		return w.DropTLS + ", or enable TLS in the server"
	case WantsTLS:
		return w.AddTLS
	case HTTP1:
		return "check the name, for it may be no gRPC server, or enable HTTP/2 without TLS in it: " + kestrel
	case HTTP1Only:
		return kestrel
	case GoAway:
		return "it may be shutting down; see its log"
	case Closed:
		if f.speaks == TLS {
			return "it may speak no TLS (" + w.DropTLS + "), be shutting down, or refuse this client; see its log"
		}
		return "it may want TLS (" + w.AddTLS + "), be shutting down, refuse this client, or be no gRPC server; see its log"
	case Silent:
		if f.speaks == TLS {
			return "see whether it is a gRPC server with TLS, and whether it is overloaded or stopped"
		}
		return "see whether it is a gRPC server, and whether it is overloaded or stopped"
	}
	return "check the name, for this is no gRPC server"
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
