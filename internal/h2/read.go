package h2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
)

const (
	leastRead = 4 << 10   // what one read asks for at first
	mostRead  = 128 << 10 // and at most
)

// A reader holds what is read and not handled yet. While a connection is idle it
// holds nothing.
type reader struct {
	own  *[]byte
	buf  []byte // own's, whole
	r, w int
	size int // of the next buffer
	bulk int // more than 0 while there is much to read; see bulkRead

	begun bool // the preface and the first SETTINGS were there

	// A DATA frame under way, which is handled as it comes.
	data     *Stream // nil for one that is only counted
	dataID   uint32
	dataLeft int // bytes of payload to come
	dataEnd  bool
	padLeft  int // bytes of padding to come, behind the payload

	// A header block under way.
	blockID    uint32 // 0 for none
	blockFlags uint8
	block      []byte // of more than one frame
	blockCount int    // CONTINUATION frames
	blockSince time.Time

	over ids // server: streams that the client has ended

	// See handover.go.
	heir  heir
	guest bool // the reader is a stream's handler
	asked bool // a handler wanted to run on the reader's goroutine
}

// ids are the last that were added.
type ids struct {
	all [56]uint32 // so that a Conn fits into 1792 bytes
	n   int
}

func (s *ids) add(id uint32) {
	s.all[s.n%len(s.all)] = id
	s.n++
}

func (s *ids) has(id uint32) bool { return slices.Contains(s.all[:], id) }

// fill reads once. It waits for the peer.
func (c *Conn) fill() error {
	rd := &c.rd
	rd.size = max(rd.size, leastRead)
	if rd.r == rd.w {
		if rd.dataLeft >= leastDirect && rd.data != nil && c.tries { // else it would be more reads: one for each part
			if done, err := c.fillDirect(); done || err != nil {
				return err
			}
		}
		if rd.own != nil {
			bufpool.Shared.Put(rd.own)
			rd.own, rd.buf, rd.r, rd.w = nil, nil, 0, 0
		}
		own, n, err := c.car.Read(rd.size)
		if err != nil {
			return err
		}
		rd.own, rd.buf, rd.r, rd.w = own, *own, 0, n
		rd.adapt(n)
		rd.note(n)
		return c.hasRead((*own)[:n])
	}
	rd.room()
	n, err := c.car.ReadInto(rd.buf[rd.w:], nil)
	if err != nil {
		if err == io.EOF {
			err = errCutOff
		}
		return err
	}
	rd.note(n)
	rd.w += n
	return c.hasRead(rd.buf[rd.w-n : rd.w])
}

const (
	// bulkRead is how many bytes are much for one read, and bulkReads how many reads
	// later it still counts.
	bulkRead  = 16 << 10
	bulkReads = 4
)

// firstBytes is how many of a server's first bytes are kept for Conn.Judge.
const firstBytes = 24

// hasRead takes note of what was read. Before the server's settings are there it
// asks whether they can still come.
func (c *Conn) hasRead(p []byte) error {
	if c.keep != nil {
		c.keep.reads.Add(1)
	}
	if c.rd.begun || c.Judge == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.had += copy(c.first[c.had:], p)
	return c.Judge(c.first[:c.had], nil)
}

// errCutOff is a connection that ends within a frame, unlike a stream that its peer
// ends in order within a message.
var errCutOff = fmt.Errorf("the connection ended within a frame: %w", io.ErrUnexpectedEOF)

// spill is how much is read behind the end of a message that is read directly:
// the next one's beginning.
const spill = 16 << 10

// fillDirect reads the payload of the DATA frame under way to where it ends up.
// It reports whether it did.
func (c *Conn) fillDirect() (bool, error) {
	rd := &c.rd
	st := rd.data
	st.mu.Lock()
	if !st.of(c, rd.dataID) || st.err != nil {
		st.mu.Unlock()
		return false, nil
	}
	p := st.direct(rd.dataLeft)
	own := st.own
	st.mu.Unlock()
	if p == nil {
		return false, nil
	}
	if rd.own != nil && len(rd.buf) != spill {
		bufpool.Shared.Put(rd.own)
		rd.own = nil
	}
	if rd.own == nil {
		rd.own = bufpool.Shared.Get(spill)
		rd.buf = *rd.own
	}
	rd.r, rd.w, rd.size = 0, 0, spill
	n, err := c.car.ReadInto(p, rd.buf)
	if c.keep != nil {
		c.keep.reads.Add(1)
	}
	if err == io.EOF {
		err = errCutOff
	}
	rd.note(n)
	filled := min(n, len(p))
	rd.w = n - filled
	rd.dataLeft -= filled
	if e := c.filled(st, rd.dataID, own, filled, rd.dataEnd && rd.dataLeft == 0); err == nil {
		err = e
	}
	if err == nil && rd.dataLeft == 0 && rd.padLeft == 0 {
		err = c.endData()
	}
	return true, err
}

// note takes note of how much was read.
func (rd *reader) note(n int) {
	if n >= bulkRead {
		rd.bulk = bulkReads
	} else if rd.bulk > 0 {
		rd.bulk--
	}
}

// adapt sets the size of the next buffer by how much of this one was used.
func (rd *reader) adapt(n int) {
	switch {
	case n == rd.size && rd.size < mostRead:
		rd.size *= 4
		rd.size = min(rd.size, mostRead)
	case n < rd.size/8 && rd.size > leastRead:
		rd.size /= 2
	}
}

// room makes room behind what is buffered: part of a frame.
func (rd *reader) room() {
	free := len(rd.buf) - rd.w
	if free >= len(rd.buf)/2 {
		return
	}
	have := rd.buf[rd.r:rd.w]
	if len(have) <= len(rd.buf)/2 {
		rd.w = copy(rd.buf, have)
		rd.r = 0
		return
	}
	own := bufpool.Shared.Get(2 * len(rd.buf))
	rd.w = copy(*own, have)
	bufpool.Shared.Put(rd.own)
	rd.own, rd.buf, rd.r = own, *own, 0
}

// drop gives the buffer back, when the connection has ended.
func (rd *reader) drop() {
	if rd.own != nil {
		bufpool.Shared.Put(rd.own)
		rd.own, rd.buf, rd.r, rd.w = nil, nil, 0, 0
	}
}

// errRole says that the caller is the reader no more.
var errRole = errors.New("the role of the reader was taken over")

// longRead is from how many bytes a server answers the first half of what it has
// read before it handles the second: the client then works at the same time. Where
// a write costs a goroutine it isn't worth it.
const longRead = 512

// drain handles all frames that are buffered. After errRole the caller must
// touch nothing of the reader's.
func (c *Conn) drain() error {
	rd := &c.rd
	half := rd.w
	if n := rd.w - rd.r; c.server && c.tries && n >= longRead {
		half = rd.r + n/2
	}
	for {
		if rd.r >= half && rd.r < rd.w {
			half = rd.w
			c.Flush()
		}
		if rd.dataLeft > 0 || rd.padLeft > 0 {
			if rd.r == rd.w {
				return nil
			}
			if err := c.moreData(); err != nil {
				return err
			}
			continue
		}
		b := rd.buf[rd.r:rd.w]
		if c.server && !rd.begun {
			if len(b) < len(Preface) {
				return nil
			}
			if string(b[:len(Preface)]) != Preface {
				return connError(ProtocolError, "the client doesn't begin with HTTP/2's preface")
			}
			if len(b) < len(Preface)+frameHead {
				return nil
			}
			b = b[len(Preface):]
		}
		if len(b) < frameHead {
			return nil
		}
		f := parseFrame(b)
		if err := c.checkFrame(f); err != nil {
			return err
		}
		if f.typ == frameData {
			ok, err := c.beginData(f, b[frameHead:])
			if err != nil {
				return err
			}
			if !ok {
				return nil
			}
			continue
		}
		if len(b) < frameHead+f.length {
			return nil
		}
		if c.server && !rd.begun {
			rd.r += len(Preface)
		}
		rd.begun = true
		rd.r += frameHead + f.length
		if err := c.handle(f, b[frameHead:frameHead+f.length]); err != nil {
			return err
		}
	}
}

// checkFrame checks what can be said of a frame by its header.
func (c *Conn) checkFrame(f frame) error {
	rd := &c.rd
	switch {
	case f.length > int(c.lim.FrameBytes):
		return connError(FrameSizeError, "a frame of %d bytes; at most %d are allowed", f.length, c.lim.FrameBytes)
	case rd.blockID != 0 && (f.typ != frameContinuation || f.id != rd.blockID):
		return connError(ProtocolError, "a frame of type %d within the header block of stream %d", f.typ, rd.blockID)
	case !rd.begun && f.typ != frameSettings || !rd.begun && f.has(flagAck):
		return connError(ProtocolError, "the first frame is not SETTINGS but of type %d", f.typ)
	}
	return nil
}

// handle handles any frame but DATA.
func (c *Conn) handle(f frame, p []byte) error {
	switch f.typ {
	case frameHeaders:
		return c.onHeaders(f, p)
	case frameContinuation:
		return c.onContinuation(f, p)
	case framePriority:
		if f.id == 0 {
			return connError(ProtocolError, "PRIORITY on stream 0")
		}
		if len(p) != 5 {
			return c.resetStream(f.id, FrameSizeError)
		}
		if binary.BigEndian.Uint32(p)&maxStreamID == f.id {
			return connError(ProtocolError, "stream %d depends on itself", f.id)
		}
		return c.glitch()
	case frameReset:
		return c.onReset(f, p)
	case frameSettings:
		return c.onSettings(f, p)
	case framePushPromise:
		return connError(ProtocolError, "PUSH_PROMISE, which was switched off")
	case framePing:
		return c.onPing(f, p)
	case frameGoAway:
		return c.onGoAway(f, p)
	case frameWindowUpdate:
		return c.onWindowUpdate(f, p)
	}
	return c.glitch() // of a type that we don't know, to be ignored
}

// perProgress is how many frames without progress are free beside each HEADERS
// or DATA frame, in either direction: some peers measure by pings how fast data
// comes.
const perProgress = 4

// glitch counts a frame that brings nothing forward.
func (c *Conn) glitch() error {
	c.mu.Lock()
	c.glitches.used = max(0, c.glitches.used-perProgress*float64(c.progress))
	c.progress = 0
	c.mu.Unlock()
	if c.glitches.take() {
		return nil
	}
	return connError(EnhanceYourCalm, "too many frames without progress")
}
