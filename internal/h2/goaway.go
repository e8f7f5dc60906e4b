package h2

import (
	"encoding/binary"
	"time"
)

// onReset ends a stream that the peer has given up.
func (c *Conn) onReset(f frame, p []byte) error {
	if len(p) != 4 {
		return connError(FrameSizeError, "RST_STREAM of %d bytes", len(p))
	}
	if f.id == 0 {
		return connError(ProtocolError, "RST_STREAM on stream 0")
	}
	code := Code(binary.BigEndian.Uint32(p))
	if c.server && !c.resets.take() {
		return connError(EnhanceYourCalm, "too many streams were reset")
	}
	c.rd.over.add(f.id)
	c.mu.Lock()
	st := c.streams[f.id]
	if st == nil {
		idle := f.id > c.nextID || !c.server && f.id >= c.nextID || f.id%2 == 0
		c.mu.Unlock()
		if idle {
			return connError(ProtocolError, "RST_STREAM on stream %d, which was never opened", f.id)
		}
		return nil
	}
	st.sentEnd = true
	c.remove(st)
	c.mu.Unlock()
	st.mu.Lock()
	due := false
	if st.of(c, f.id) {
		st.endLocked(&StreamError{Code: code, Remote: true})
		due = c.server && !st.started
		st.started = st.started || due
	}
	st.mu.Unlock()
	st.wakeSender()
	if due && !c.h.Start(st) {
		return errRole
	}
	return nil
}

// onGoAway takes note that the peer takes no more streams.
func (c *Conn) onGoAway(f frame, p []byte) error {
	if f.id != 0 {
		return connError(ProtocolError, "GOAWAY on stream %d", f.id)
	}
	if len(p) < 8 {
		return connError(FrameSizeError, "GOAWAY of %d bytes", len(p))
	}
	e := &GoAwayError{
		Last: binary.BigEndian.Uint32(p) & maxStreamID,
		Code: Code(binary.BigEndian.Uint32(p[4:])),
		Text: string(p[8:min(len(p), 8+1024)]),
	}
	if c.server {
		return c.glitch() // a client that leaves closes the connection
	}
	c.mu.Lock()
	if e.Last%2 == 0 && e.Last != 0 || c.goAway != nil && e.Last > c.goAway.Last {
		c.mu.Unlock()
		return connError(ProtocolError, "GOAWAY up to stream %d", e.Last)
	}
	c.goAway, c.draining = e, true
	refused := map[uint32]*Stream{}
	for id, st := range c.streams {
		if id > e.Last {
			st.sentEnd = true
			refused[id] = st
		}
	}
	for _, st := range refused {
		c.remove(st)
	}
	for len(c.queue) > 0 {
		c.admit()
	}
	c.finishDrain()
	c.mu.Unlock()
	for id, st := range refused {
		c.end(st, id, &StreamError{Code: RefusedStream, Remote: true})
	}
	c.h.GoAway(c, e)
	return nil
}

// finalAfter is how long a server waits for a client to have seen that it is
// closing.
const finalAfter = 5 * time.Second

// lingerFor is how long a server then waits for the client to close. A client
// that has chosen the connection for a call and finds it closed fails the call
// (.NET's does); one that finds GOAWAY makes it elsewhere.
const lingerFor = time.Second

// Drain closes the connection in order. A client's takes no new calls. A
// server's says that it will take no more, and, when it is sure that the client
// has read that, which streams it serves to their end. The connection ends with
// the last.
func (c *Conn) Drain(text string) {
	if c.server {
		go c.drainServer(text)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.draining = true
	for len(c.queue) > 0 {
		c.admit()
	}
	c.finishDrain()
}

func (c *Conn) drainServer(text string) {
	late := time.NewTimer(finalAfter)
	defer late.Stop()
	// A client that is told to go before it has sent its preface fails (.NET's
	// does, while it writes).
	select {
	case <-c.ready:
	case <-late.C:
		c.fail(ErrClosed)
		return
	case <-c.done:
		return
	}
	c.mu.Lock()
	if c.err != nil || c.draining {
		c.mu.Unlock()
		return
	}
	c.draining = true
	c.out.arena = appendGoAway(c.out.arena, maxStreamID, NoError, text)
	c.flush(false)
	c.mu.Unlock()
	answer := make(chan struct{}, 1)
	c.Ping(answer)
	late.Reset(finalAfter)
	select {
	case <-answer:
	case <-late.C:
	case <-c.done:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.sentFinal, c.sentLast = true, c.nextID
	c.out.arena = appendGoAway(c.out.arena, c.sentLast, NoError, text)
	c.finishDrain()
	c.flush(false)
}

// finishDrain ends the connection if it was draining and nothing is left to
// wait for. c.mu is held.
func (c *Conn) finishDrain() {
	if !c.draining || c.err != nil || len(c.streams) > 0 || c.server && (!c.sentFinal || c.busy > 0) {
		return
	}
	if c.finishing {
		return
	}
	c.finishing = true
	go c.closeWritten()
}

// closeWritten closes the connection once everything is written.
func (c *Conn) closeWritten() {
	late := time.NewTimer(finalAfter)
	defer late.Stop()
	for {
		c.mu.Lock()
		c.flush(false)
		idle := !c.writing && c.out.size() == 0
		wait := make(chan struct{})
		if !idle {
			c.flushed = wait
		}
		c.mu.Unlock()
		if idle {
			break
		}
		select {
		case <-wait:
			continue
		case <-c.done:
			return
		case <-late.C:
		}
		break
	}
	if c.server {
		late.Reset(lingerFor)
		select {
		case <-c.done:
			return
		case <-late.C:
		}
	}
	c.fail(ErrClosed)
}
