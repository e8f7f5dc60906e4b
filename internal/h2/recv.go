package h2

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"
)

// onHeaders begins a header block.
func (c *Conn) onHeaders(f frame, p []byte) error {
	if f.id == 0 {
		return connError(ProtocolError, "HEADERS on stream 0")
	}
	pad := 0
	if f.has(flagPadded) {
		if len(p) == 0 {
			return connError(FrameSizeError, "padded HEADERS of no bytes")
		}
		pad, p = int(p[0]), p[1:]
	}
	if f.has(flagPriority) {
		if len(p) < 5 {
			return connError(FrameSizeError, "HEADERS too short for a priority")
		}
		if binary.BigEndian.Uint32(p)&maxStreamID == f.id {
			return connError(ProtocolError, "stream %d depends on itself", f.id)
		}
		p = p[5:]
	}
	if pad > len(p) {
		return connError(ProtocolError, "HEADERS with more padding than bytes")
	}
	p = p[:len(p)-pad]
	if f.has(flagEndHeaders) {
		return c.headerBlock(f.id, f.flags, p)
	}
	rd := &c.rd
	rd.blockID, rd.blockFlags, rd.blockCount = f.id, f.flags, 0
	rd.block = append(rd.block[:0], p...)
	rd.blockSince = time.Now()
	if c.server { // a client's calls have deadlines
		c.car.SetReadDeadline(rd.blockSince.Add(c.lim.HeaderTime))
	}
	return nil
}

// onContinuation goes on with a header block. Whoever sends many small ones, or
// slowly, wants to keep us busy.
func (c *Conn) onContinuation(f frame, p []byte) error {
	rd := &c.rd
	if rd.blockID == 0 {
		return connError(ProtocolError, "CONTINUATION without HEADERS")
	}
	rd.blockCount++
	if rd.blockCount > c.lim.Continuations || len(rd.block)+len(p) > 2*int(c.lim.HeaderBytes) {
		return connError(EnhanceYourCalm, "a header block of more than %d bytes or %d frames", 2*c.lim.HeaderBytes, c.lim.Continuations+1)
	}
	if time.Since(rd.blockSince) > c.lim.HeaderTime {
		return connError(EnhanceYourCalm, "a header block took longer than %v", c.lim.HeaderTime)
	}
	rd.block = append(rd.block, p...)
	if !f.has(flagEndHeaders) {
		return nil
	}
	id, flags, block := rd.blockID, rd.blockFlags, rd.block
	rd.blockID, rd.block = 0, nil
	if c.server {
		c.car.SetReadDeadline(time.Time{})
	}
	return c.headerBlock(id, flags, block)
}

// headerBlock decodes a whole block, which it must do even if nobody wants it.
func (c *Conn) headerBlock(id uint32, flags uint8, p []byte) error {
	fields, over, err := c.dec.decode(p)
	if err != nil {
		return connError(CompressionError, "%v on stream %d", err, id)
	}
	end := flags&flagEndStream != 0
	if c.server {
		return c.requestHead(id, fields, over, end)
	}
	if c.dec.bad {
		return c.resetStream(id, ProtocolError)
	}
	return c.responseHead(id, fields, over, end)
}

// requestHead begins a call, or is the trailers of one, which gRPC has no use
// for.
func (c *Conn) requestHead(id uint32, fields []Field, over, end bool) error {
	if id%2 == 0 {
		return connError(ProtocolError, "a client's HEADERS on stream %d", id)
	}
	c.mu.Lock()
	if id <= c.nextID {
		st, early, last := c.streams[id], c.early.has(id), c.nextID
		c.mu.Unlock()
		switch over := c.rd.over.has(id); {
		case over && st != nil:
			return c.resetStream(id, StreamClosed)
		case over:
			return connError(StreamClosed, "HEADERS on stream %d, which the client has ended", id)
		case st != nil:
			return c.requestTrailer(st, id, fields, end)
		case !end || !early:
			return connError(ProtocolError, "HEADERS on stream %d after stream %d", id, last)
		}
		return c.glitch() // trailers of a call that we have ended; the peer may not know yet
	}
	c.nextID = id
	if end {
		c.rd.over.add(id)
	}
	if id > c.sentLast {
		// We said that we would not serve it, so nobody waits for an answer.
		c.mu.Unlock()
		return nil
	}
	if c.dec.bad {
		c.mu.Unlock()
		return c.resetStream(id, ProtocolError)
	}
	if uint32(len(c.streams)) >= c.lim.Streams || c.busy >= 2*int(c.lim.Streams) {
		c.mu.Unlock()
		return c.resetStream(id, RefusedStream)
	}
	c.mu.Unlock()

	st := c.h.NewStream()
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return c.err
	}
	c.attach(st, id)
	c.busy++
	c.mu.Unlock()
	at := c.h.Head(st, fields, over)
	st.mu.Lock()
	st.ended = end
	st.atEnd = at == AtEnd
	due := end || !st.atEnd
	st.started = due
	st.mu.Unlock()
	if due && !c.h.Start(st) {
		return errRole
	}
	return nil
}

// requestTrailer takes the fields behind a request's data.
func (c *Conn) requestTrailer(st *Stream, id uint32, fields []Field, end bool) error {
	pseudo := slices.ContainsFunc(fields, func(f Field) bool { return strings.HasPrefix(f.Name, ":") })
	if !end || pseudo || c.dec.bad {
		return c.resetStream(id, ProtocolError)
	}
	c.rd.over.add(id)
	return c.endOfStream(st, id)
}

// responseHead takes a response's header list, or its trailers.
func (c *Conn) responseHead(id uint32, fields []Field, over, end bool) error {
	if !end && isInformational(fields) {
		return c.glitch()
	}
	c.mu.Lock()
	st := c.streams[id]
	if st == nil {
		never := id%2 == 0 || id >= c.nextID
		c.mu.Unlock()
		if never {
			return connError(ProtocolError, "HEADERS on stream %d, which was never opened", id)
		}
		return nil // of a stream that we have given up
	}
	if end {
		c.ended(st)
	}
	c.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.of(c, id) {
		return nil
	}
	st.over = st.over || over
	if !st.got {
		st.head = append(st.head[:0], fields...)
		st.got = true
	} else {
		st.trail = append(st.trail[:0], fields...)
		if !end {
			st.endLocked(&StreamError{Code: ProtocolError})
		}
	}
	st.ended = st.ended || end
	st.wakeReceiver()
	return nil
}

// isInformational reports whether a header list is an answer before the answer.
func isInformational(fields []Field) bool {
	return len(fields) > 0 && fields[0].Name == ":status" && len(fields[0].Value) == 3 && fields[0].Value[0] == '1'
}

// ended takes note that the peer of a client has ended a stream. If we have not,
// we do now: nobody would read what we send. c.mu is held.
func (c *Conn) ended(st *Stream) {
	if !st.sentEnd {
		st.sentEnd = true
		c.out.arena = appendReset(c.out.arena, st.id, NoError)
		st.wakeSender()
	}
	c.remove(st)
}

// countData counts a DATA frame against the windows, and returns its stream if
// somebody wants it.
func (c *Conn) countData(f frame) (*Stream, error) {
	n := int64(f.length)
	c.mu.Lock()
	if n > c.recvWindow {
		c.mu.Unlock()
		return nil, connError(FlowControlError, "more DATA than the connection's window")
	}
	c.recvWindow -= n
	if c.rd.dataLeft > 0 { // padding is no progress
		c.progress++
	}
	c.refill()
	st := c.streams[f.id]
	if st == nil {
		idle := f.id > c.nextID || !c.server && f.id >= c.nextID || f.id%2 == 0
		c.mu.Unlock()
		if idle {
			return nil, connError(ProtocolError, "DATA on stream %d, which was never opened", f.id)
		}
		if c.rd.over.has(f.id) {
			return nil, c.resetStream(f.id, StreamClosed)
		}
		return nil, nil // of a stream that we have ended
	}
	c.mu.Unlock()
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.of(c, f.id) {
		return nil, nil
	}
	if st.ended {
		return nil, c.resetLocked(st, StreamClosed)
	}
	if n > st.recvWindow {
		return nil, c.resetLocked(st, FlowControlError)
	}
	if !c.server && !st.got {
		return nil, c.resetLocked(st, ProtocolError)
	}
	st.recvWindow -= n
	if pad := n - int64(c.rd.dataLeft); pad > 0 {
		st.owed += pad // padding counts, and is consumed at once
	}
	return st, nil
}

// resetLocked resets a stream by our own decision, for a fault of the peer's.
// st.mu is held, and c.mu is not.
func (c *Conn) resetLocked(st *Stream, code Code) error {
	id := st.rid
	st.endLocked(&StreamError{Code: code})
	st.mu.Unlock()
	defer st.mu.Lock()
	st.wakeSender()
	return c.resetStream(id, code)
}

// resetStream resets a stream for a fault of the peer's, whether or not we know
// it. Such resets count: a peer that makes us reset is no better than one that
// does it.
func (c *Conn) resetStream(id uint32, code Code) error {
	if !c.resets.take() {
		return connError(EnhanceYourCalm, "too many streams were reset")
	}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return nil
	}
	c.out.arena = appendReset(c.out.arena, id, code)
	ok := c.answer()
	st := c.streams[id]
	if st != nil {
		st.sentEnd = true
		c.remove(st)
	} else if c.server {
		c.early.add(id)
	}
	c.mu.Unlock()
	if st != nil {
		c.end(st, id, &StreamError{Code: code})
	}
	if !ok {
		return connError(EnhanceYourCalm, "too many answers wait to be read")
	}
	return nil
}

// received takes bytes of a stream's messages in. last says that no more come.
func (c *Conn) received(st *Stream, id uint32, p []byte, last bool) error {
	st.mu.Lock()
	if !st.of(c, id) || st.err != nil {
		st.mu.Unlock()
		return nil
	}
	st.add(p, st.MaxMessage)
	c.arrived(st, id, len(p), last)
	return nil
}

// filled takes note of n bytes that were read to the stream's buffer own.
func (c *Conn) filled(st *Stream, id uint32, own *[]byte, n int, last bool) error {
	st.mu.Lock()
	if st.own != own || !st.filling { // it was given up meanwhile
		st.mu.Unlock()
		return nil
	}
	st.filling = false
	st.buf = st.buf[:len(st.buf)+n]
	st.scan(st.MaxMessage)
	c.arrived(st, id, n, last)
	return nil
}

// arrived does what n more bytes in the inbox make due. st.mu is held, and given
// up.
func (c *Conn) arrived(st *Stream, id uint32, n int, last bool) {
	more := st.grow()
	if !st.awaited() && !last {
		// Nobody waits for it: it stays in memory until somebody does.
		st.counted += int64(n)
		c.unread.Add(int64(n))
	}
	if !last && !c.toHeir(st, id) { // with the end comes a wake-up anyway
		st.wakeReceiver()
	}
	st.mu.Unlock()
	if more > 0 {
		c.mu.Lock()
		if c.err == nil && c.streams[id] == st {
			c.out.arena = appendWindowUpdate(c.out.arena, id, uint32(more))
		}
		c.mu.Unlock()
	}
}

// endOfStream takes note that the peer sends no more on a stream.
func (c *Conn) endOfStream(st *Stream, id uint32) error {
	if !c.server {
		c.mu.Lock()
		if c.streams[id] == st {
			c.ended(st)
		}
		c.mu.Unlock()
	}
	st.mu.Lock()
	if !st.of(c, id) {
		st.mu.Unlock()
		return nil
	}
	st.ended = true
	due := c.server && !st.started
	st.started = st.started || due
	st.wakeReceiver()
	st.mu.Unlock()
	if due && !c.h.Start(st) {
		return errRole
	}
	return nil
}

// startIfDue starts a request that waits for its end if there is no use in
// waiting longer.
func (c *Conn) startIfDue(st *Stream, id uint32) error {
	if !c.server {
		return nil
	}
	st.mu.Lock()
	due := st.of(c, id) && !st.started && st.tooLarge
	st.started = st.started || due
	st.mu.Unlock()
	if due && !c.h.Start(st) {
		return errRole
	}
	return nil
}
