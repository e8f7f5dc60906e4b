package grpcpipe

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

const (
	// maxFirst is how much of the server's first bytes is kept: a GOAWAY frame
	// without a message, the longest that is looked into, has 17, and a line of
	// HTTP/1.1 is clear from 16.
	maxFirst = 24

	frameHeader   = 9
	frameSettings = 0x4
	frameGoAway   = 0x7
	goAwayLen     = frameHeader + 8
	http11Needed  = 0xd // HTTP_1_1_REQUIRED
)

// language tells what the client speaks from the first bytes that it sends.
func language(p []byte) int32 {
	switch {
	case bytes.HasPrefix(p, []byte("PRI ")):
		return speaksHTTP2
	case p[0] == 0x16: // a TLS handshake record
		return speaksTLS
	}
	return speaksOther
}

// diagnose looks at the first bytes that a server sent. It returns done when
// they are right, and a fault, as text for the caller of an RPC, when they are
// not. With neither it wants more bytes.
func diagnose(speaks int32, b []byte) (done bool, fault string) {
	switch speaks {
	case speaksOther:
		return true, ""
	case speaksTLS:
		return diagnoseTLS(b)
	}
	// A server may speak before we have: speaksNothing is plaintext, since a
	// TLS server waits for its client.
	switch {
	case isTLS(b):
		return false, "the server speaks TLS and this client doesn't: add TLS credentials with grpc.WithTransportCredentials(credentials.NewTLS(...))"
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return false, fmt.Sprintf("the server speaks HTTP/1.1, not HTTP/2 (it answered %s): it is not a gRPC server, or HTTP/2 without TLS isn't enabled in it", quote(b))
	case isPrefix(b, "HTTP/"):
		return false, ""
	case len(b) < frameHeader:
		// A SETTINGS frame is short: anything but 0 or a small number in the
		// upper byte of the length can't be one.
		if b[0] == 0 && (len(b) < 4 || b[3] == frameSettings || b[3] == frameGoAway) {
			return false, ""
		}
		return false, rubbish(b)
	}
	length := int(b[0])<<16 | int(b[1])<<8 | int(b[2])
	stream := binary.BigEndian.Uint32(b[5:]) &^ (1 << 31)
	switch {
	case b[3] == frameSettings && b[4]&1 == 0 && length%6 == 0 && length <= 16<<10 && stream == 0:
		return true, ""
	case b[3] == frameGoAway && length >= 8 && stream == 0:
		if len(b) < goAwayLen {
			return false, ""
		}
		return false, goAway(binary.BigEndian.Uint32(b[frameHeader+4:]))
	}
	return false, rubbish(b)
}

// diagnoseTLS is diagnose for a client that has begun a TLS handshake.
func diagnoseTLS(b []byte) (done bool, fault string) {
	const remedy = ": leave the TLS credentials out, with an npipe: or http: target, or enable TLS in the server"
	switch {
	case isTLS(b), len(b) == 1 && (b[0] == 0x15 || b[0] == 0x16):
		return len(b) > 1, ""
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return false, fmt.Sprintf("this client speaks TLS and the server plain HTTP/1.1 (it answered %s)%s", quote(b), remedy)
	case len(b) >= 4 && b[0] == 0 && (b[3] == frameSettings || b[3] == frameGoAway):
		return false, "this client speaks TLS and the server HTTP/2 without TLS" + remedy
	case len(b) < 5 && (b[0] == 0 || isPrefix(b, "HTTP/")):
		return false, ""
	}
	return false, fmt.Sprintf("this client speaks TLS and the server doesn't: its first bytes are %s%s", quote(b), remedy)
}

// goAway explains a GOAWAY frame in place of SETTINGS.
func goAway(code uint32) string {
	if code == http11Needed {
		return "the server takes HTTP/1.1 only (it answered GOAWAY with HTTP_1_1_REQUIRED), as Kestrel does by default without TLS: " +
			"in its ListenNamedPipe or ListenUnixSocket write listenOptions.Protocols = HttpProtocols.Http2"
	}
	return fmt.Sprintf("the server ended the connection before it began (GOAWAY with code %#x): see its log", code)
}

func rubbish(b []byte) string {
	return fmt.Sprintf("the server doesn't speak HTTP/2: its first bytes are %s, so it is not a gRPC server; check the pipe's name", quote(b))
}

// closedEarly explains the end of a connection on which nothing came.
func closedEarly(speaks int32) string {
	if speaks == speaksTLS {
		return "the server closed the connection before it answered the TLS handshake: it may speak no TLS, be shutting down, or refuse this client; see its log"
	}
	return "the server closed the connection before it sent its HTTP/2 settings: it may want TLS (add credentials.NewTLS(...)), be shutting down, refuse this client, or be no gRPC server; see its log"
}

// keptSilent explains a server from which nothing, or too little, came in time.
func keptSilent(speaks int32, b []byte, d time.Duration) string {
	// The dial took a little of it: what is meant is the next round figure.
	d = (d + 99*time.Millisecond).Truncate(100 * time.Millisecond)
	if len(b) > 0 {
		return fmt.Sprintf("the server sent only %s in %v: is it a gRPC server?", quote(b), d)
	}
	if speaks == speaksTLS {
		return fmt.Sprintf("the server accepted the connection but sent nothing in %v: is it a gRPC server with TLS, and is it overloaded or stopped?", d)
	}
	return fmt.Sprintf("the server accepted the connection but sent nothing in %v: is it a gRPC server, and is it overloaded or stopped?", d)
}

// isTLS tells whether b begins with a TLS handshake record or alert.
func isTLS(b []byte) bool {
	return len(b) >= 2 && (b[0] == 0x15 || b[0] == 0x16) && b[1] == 3
}

// isPrefix tells whether b is the beginning of s.
func isPrefix(b []byte, s string) bool {
	return len(b) <= len(s) && string(b) == s[:len(b)]
}

// quote shows the first bytes of a server: short, safe to print, and without the
// double quotes and backslashes that grpc would escape in its own text.
func quote(b []byte) string {
	line, _, cut := bytes.Cut(b, []byte("\r\n"))
	more := ""
	if len(b) == maxFirst && !cut {
		more = "..."
	}
	for _, c := range line {
		if c < ' ' || c > '~' || c == '\\' || c == '"' || c == '\'' {
			return fmt.Sprintf("%x%s", b, more) + " in hexadecimal"
		}
	}
	return "'" + string(line) + "'" + more
}

// pipeError is an error in the form of package namedpipe's.
func pipeError(op string, addr net.Addr, format string, args ...any) error {
	return &net.OpError{Op: op, Net: addr.Network(), Addr: addr, Err: fmt.Errorf(format, args...)}
}
