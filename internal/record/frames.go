package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHeader = 9
	// maxFrame bounds what is kept of a connection that is no HTTP/2: an honest
	// peer's frames are of 16 KiB unless the other end allows more.
	maxFrame = 1<<24 - 1
	// maxHeaders bounds a block of headers.
	maxHeaders = 1 << 20
)

// frames takes one direction of a connection in pieces and gives whole frames to
// its handler before Write returns, so that what the other end makes of them
// comes later.
type frames struct {
	handle  func(http2.Frame)
	failed  func(error) // is called once
	preface bool        // the client's is still to come
	buf     bytes.Buffer
	framer  *http2.Framer
	broken  bool
}

func newFrames(client bool, handle func(http2.Frame), failed func(error)) *frames {
	f := &frames{handle: handle, failed: failed, preface: client}
	f.framer = http2.NewFramer(io.Discard, &f.buf)
	f.framer.SetMaxReadFrameSize(maxFrame)
	f.framer.SetReuseFrames()
	f.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	// The ends may agree on a larger table than the one to begin with.
	f.framer.ReadMetaHeaders.SetAllowedMaxDynamicTableSize(maxHeaders)
	f.framer.MaxHeaderListSize = maxHeaders
	return f
}

// Write never fails: whoever relays must not stop for it.
func (f *frames) Write(p []byte) (int, error) {
	if f.broken {
		return len(p), nil
	}
	f.buf.Write(p)
	if err := f.parse(); err != nil {
		f.broken = true
		f.buf = bytes.Buffer{}
		f.failed(err)
	}
	return len(p), nil
}

func (f *frames) parse() error {
	if f.preface {
		n := min(f.buf.Len(), len(http2.ClientPreface))
		if string(f.buf.Bytes()[:n]) != http2.ClientPreface[:n] {
			return fmt.Errorf("it begins with %q", f.buf.Bytes()[:n])
		}
		if n < len(http2.ClientPreface) {
			return nil
		}
		f.buf.Next(n)
		f.preface = false
	}
	for whole(f.buf.Bytes()) {
		frame, err := f.framer.ReadFrame()
		var stream http2.StreamError
		if errors.As(err, &stream) {
			continue // the ends will say so to each other
		}
		if err != nil {
			return err
		}
		f.handle(frame)
	}
	return nil
}

// whole reports whether b begins with a whole frame, and after HEADERS with all
// of their CONTINUATION.
func whole(b []byte) bool {
	inHeaders := false
	for {
		if len(b) < frameHeader {
			return false
		}
		size := frameHeader + int(b[0])<<16 + int(b[1])<<8 + int(b[2])
		if len(b) < size {
			return false
		}
		kind, ended := http2.FrameType(b[3]), http2.Flags(b[4]).Has(http2.FlagHeadersEndHeaders)
		switch {
		case kind == http2.FrameHeaders && !ended:
			inHeaders = true
		case !inHeaders || kind != http2.FrameContinuation || ended:
			return true
		}
		b = b[size:]
	}
}

// messages takes the data of one direction of a stream and gives whole messages
// to a handler. What is longer than maxMessage is counted and not kept.
type messages struct {
	prefix [5]byte
	have   int // of prefix
	left   int // of the message
	size   int
	buf    []byte
}

// maxMessage is the longest message that is kept, in bytes.
const maxMessage = 16 << 20

// write gives each message that p ends to handle: body is nil if it was too long,
// and good until handle returns.
func (m *messages) write(p []byte, handle func(compressed bool, size int, body []byte)) {
	for len(p) > 0 {
		if m.have < len(m.prefix) {
			n := copy(m.prefix[m.have:], p)
			m.have, p = m.have+n, p[n:]
			if m.have < len(m.prefix) {
				return
			}
			m.size = int(binary.BigEndian.Uint32(m.prefix[1:]))
			m.left, m.buf = m.size, m.buf[:0]
		}
		n := min(m.left, len(p))
		if m.size <= maxMessage {
			m.buf = append(m.buf, p[:n]...)
		}
		m.left, p = m.left-n, p[n:]
		if m.left > 0 {
			return
		}
		body := m.buf
		if m.size > maxMessage {
			body = nil
		} else if body == nil {
			body = []byte{}
		}
		m.have = 0
		handle(m.prefix[0] == 1, m.size, body)
		if cap(m.buf) > 1<<20 {
			m.buf = nil // one long message doesn't make the stream keep its memory
		}
	}
}
