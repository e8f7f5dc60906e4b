// Package firstbytes judges how a server begins a connection: with HTTP/2, with
// TLS, or as something else.
package firstbytes

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/net/http2"
)

// Enough is the greatest number of bytes that Judge needs: the longest frame it
// looks into, a GOAWAY without a message, has 17, and 16 identify a line of
// HTTP/1.1.
const Enough = 24

// MaxSettings is the longest SETTINGS frame, in bytes, that counts as one.
const MaxSettings = 16 << 10

const (
	frameHeader = 9
	goAwayLen   = frameHeader + 8
)

// Speech is what the client speaks.
type Speech int

// The client speaks HTTP/2, with or without TLS around the connection, or has
// begun a TLS handshake on it.
const (
	HTTP2 Speech = iota
	TLS
)

// Kind is how a server's beginning is wrong.
type Kind int

// The first three are for clients that speak TLS, the next five for clients
// that speak HTTP/2, and the last two for both.
const (
	PlainHTTP1 Kind = iota // it answered TLS in HTTP/1.1
	PlainHTTP2             // it answered TLS in HTTP/2
	NotTLS                 // it answered TLS with something else
	WantsTLS               // it speaks TLS
	HTTP1                  // it answered in HTTP/1.1
	HTTP1Only              // it said in HTTP/2 that it takes HTTP/1.1 only
	GoAway                 // it ended the connection in HTTP/2
	NotHTTP2               // it sent something else
	Closed                 // it closed the connection and sent nothing
	Silent                 // it sent nothing, or too little, in time
)

// A Fault describes how a server's beginning is wrong.
type Fault struct {
	Kind   Kind
	speaks Speech
	code   http2.ErrCode // of GoAway
	first  []byte        // what it sent
}

// See judges the bytes that a server has sent, or the error in their place. It
// reports done when there is nothing more to judge, and returns a fault if the
// client can't go on. With neither it needs more bytes. The fault keeps b.
func See(speaks Speech, b []byte, err error) (done bool, fault *Fault) {
	kind := NotHTTP2
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		kind = Silent
	case err == io.EOF && len(b) == 0:
		kind = Closed
	case err != nil: // our own Close, or a frame cut short: others report it
		return true, nil
	case len(b) == 0:
		return false, nil
	case speaks == TLS:
		done, kind = judgeTLS(b)
	default:
		done, kind = judge(b)
	}
	if kind == right {
		return done, nil
	}
	f := &Fault{Kind: kind, speaks: speaks, first: b}
	if kind == GoAway {
		if f.code = goAwayCode(b); f.code == http2.ErrCodeHTTP11Required {
			f.Kind = HTTP1Only
		}
	}
	return true, f
}

// right is the Kind of a server that begins as it should.
const right Kind = -1

// judge is for a client that speaks HTTP/2.
func judge(b []byte) (done bool, kind Kind) {
	switch {
	case isTLS(b):
		return true, WantsTLS
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return true, HTTP1
	case isPrefix(b, "HTTP/"), len(b) == 1 && isRecord(b[0]):
		return false, right
	case len(b) < frameHeader:
		// A SETTINGS frame is short: the upper byte of its length is 0 or a
		// small number.
		if b[0] == 0 && (len(b) < 4 || isFirst(b[3])) {
			return false, right
		}
		return true, NotHTTP2
	}
	h, err := http2.ReadFrameHeader(bytes.NewReader(b))
	switch {
	case err != nil || h.StreamID != 0: // no header is an error
	case h.Type == http2.FrameSettings && !h.Flags.Has(http2.FlagSettingsAck) && h.Length%6 == 0 && h.Length <= MaxSettings:
		return true, right
	case h.Type == http2.FrameGoAway && h.Length >= 8:
		if len(b) < goAwayLen {
			return false, right
		}
		return true, GoAway
	}
	return true, NotHTTP2
}

// judgeTLS is for a client that has begun a TLS handshake.
func judgeTLS(b []byte) (done bool, kind Kind) {
	switch {
	case isTLS(b):
		return true, right
	case bytes.HasPrefix(b, []byte("HTTP/")):
		return true, PlainHTTP1
	case len(b) >= 4 && b[0] == 0 && isFirst(b[3]):
		return true, PlainHTTP2
	case len(b) < 5 && (b[0] == 0 || isPrefix(b, "HTTP/")), len(b) == 1 && isRecord(b[0]):
		return false, right
	}
	return true, NotTLS
}

// isFirst reports whether a server can begin with that type of frame.
func isFirst(kind byte) bool {
	return kind == byte(http2.FrameSettings) || kind == byte(http2.FrameGoAway)
}

// isTLS reports whether b begins with a TLS handshake record or alert.
func isTLS(b []byte) bool {
	return len(b) >= 2 && isRecord(b[0]) && b[1] == 3
}

// isRecord reports whether b begins a TLS record of a handshake or an alert.
func isRecord(b byte) bool { return b == 0x15 || b == 0x16 }

// isPrefix reports whether b is a prefix of s.
func isPrefix(b []byte, s string) bool {
	return len(b) <= len(s) && string(b) == s[:len(b)]
}

func goAwayCode(b []byte) http2.ErrCode {
	return http2.ErrCode(binary.BigEndian.Uint32(b[frameHeader+4:]))
}
