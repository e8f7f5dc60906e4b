package h2

import "encoding/binary"

// refill gives the peer back what it has used of the connection's window, less
// what waits for slow readers. c.mu is held.
func (c *Conn) refill() {
	window := int64(c.lim.ConnWindow)
	due := window - c.recvWindow - c.unread.Load()
	if due >= window/4 && c.err == nil {
		c.recvWindow += due
		c.out.arena = appendWindowUpdate(c.out.arena, 0, uint32(due))
	}
}

// uncount takes the stream's bytes off what waits for slow readers. st.mu is
// held. It reports whether the peer may be waiting for that.
func (st *Stream) uncount() bool {
	n := st.counted
	if n == 0 {
		return false
	}
	st.counted = 0
	before := st.rconn.unread.Add(-n) + n
	return before >= int64(st.rconn.lim.ConnWindow)/4
}

// awaited reports whether somebody waits for what comes on the stream, so that
// it will not lie about. st.mu is held.
func (st *Stream) awaited() bool { return st.want != wantNothing || st.atEnd && !st.started }

// grow returns by how much the stream's window must grow for the message under
// way to become whole, and grows it. It does so only if somebody waits for the
// message. st.mu is held.
func (st *Stream) grow() int64 {
	if st.next == 0 || st.tooLarge || st.ended || !st.awaited() {
		return 0
	}
	missing := int64(st.next - (len(st.buf) - st.edge))
	n := min(missing-st.recvWindow, maxWindow-st.recvWindow)
	if n <= 0 {
		return 0
	}
	st.recvWindow += n
	st.extra += n
	return n
}

// consumed takes note that the receiver has taken n bytes, and returns what the
// peer gets back now. st.mu is held.
func (st *Stream) consumed(n int) int64 {
	if st.ended {
		return 0
	}
	st.owed += int64(n)
	if st.extra > 0 { // was given in advance
		d := min(st.extra, st.owed)
		st.extra -= d
		st.owed -= d
	}
	if st.owed < int64(st.rconn.lim.StreamWindow)/4 {
		return 0
	}
	give := st.owed
	st.owed = 0
	st.recvWindow += give
	return give
}

// giveBack sends the window updates that a receiver's progress has made due.
func (c *Conn) giveBack(st *Stream, n int64, conn bool) {
	if n == 0 && !conn {
		return
	}
	c.mu.Lock()
	if c.err == nil {
		if n > 0 && !st.gone {
			c.out.arena = appendWindowUpdate(c.out.arena, st.id, uint32(n))
		}
		if conn {
			c.refill()
		}
		c.flush(false)
	}
	c.mu.Unlock()
}

// onWindowUpdate lets us send more.
func (c *Conn) onWindowUpdate(f frame, p []byte) error {
	if len(p) != 4 {
		return connError(FrameSizeError, "WINDOW_UPDATE of %d bytes", len(p))
	}
	n := int64(binary.BigEndian.Uint32(p) & maxWindow)
	c.mu.Lock()
	if f.id == 0 {
		c.sendWindow += n
		over := c.sendWindow > maxWindow
		c.wakeBlocked()
		c.mu.Unlock()
		switch {
		case n == 0:
			return connError(ProtocolError, "WINDOW_UPDATE by nothing")
		case over:
			return connError(FlowControlError, "the connection's window is over 2^31-1")
		}
		return c.tiny(n)
	}
	st := c.streams[f.id]
	if st == nil {
		idle := f.id > c.nextID || !c.server && f.id >= c.nextID || f.id%2 == 0
		c.mu.Unlock()
		if idle {
			return connError(ProtocolError, "WINDOW_UPDATE on stream %d, which was never opened", f.id)
		}
		if n == 0 {
			return c.resetStream(f.id, ProtocolError)
		}
		return c.tiny(n)
	}
	if n == 0 {
		c.mu.Unlock()
		return c.resetStream(f.id, ProtocolError)
	}
	if st.sendWindow += n; st.sendWindow > maxWindow {
		c.mu.Unlock()
		return c.resetStream(f.id, FlowControlError)
	}
	if st.waiting {
		c.unblock(st)
		st.wakeSender()
	}
	c.mu.Unlock()
	return c.tiny(n)
}

// tiny counts window updates that are hardly worth their frame.
func (c *Conn) tiny(n int64) error {
	if n >= 256 {
		return nil
	}
	return c.glitch()
}

// block puts a stream among those that wait for a window or for room in the
// outbox. c.mu is held.
func (c *Conn) block(st *Stream) {
	if !st.waiting {
		st.waiting = true
		c.blocked = append(c.blocked, st)
	}
}

// unblock takes a stream off them. c.mu is held.
func (c *Conn) unblock(st *Stream) {
	if !st.waiting {
		return
	}
	st.waiting = false
	for i, b := range c.blocked {
		if b == st {
			c.blocked = append(c.blocked[:i], c.blocked[i+1:]...)
			return
		}
	}
}

// wakeBlocked wakes all streams that wait, which then look themselves. c.mu is
// held.
func (c *Conn) wakeBlocked() {
	for i, st := range c.blocked {
		st.waiting = false
		st.wakeSender()
		c.blocked[i] = nil
	}
	c.blocked = c.blocked[:0]
}
