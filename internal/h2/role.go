package h2

import "time"

// At a server the connection's own goroutine reads, and may run a call's handler
// itself, which saves waking another. If the handler doesn't return soon the
// sentinel starts another reader; the first is then no more than the handler's.
//
// Conn.role counts: it is even while the reader reads, and odd while it runs a
// handler. Whoever takes it from odd to even has the role.

// BeginInline says that the caller, the reader, is about to run a handler. The
// result is for EndInline.
func (c *Conn) BeginInline() uint64 {
	r := c.role.Add(1)
	c.watchIdle()
	return r
}

// EndInline says that the handler has returned, and reports whether the caller
// is still the reader. If not, it must touch nothing of the connection that
// belongs to the reader.
func (c *Conn) EndInline(role uint64) bool { return c.role.CompareAndSwap(role, role+1) }

// takeOver starts another reader if the same handler is still running as when
// the role had this value.
func (c *Conn) takeOver(role uint64) {
	if c.role.CompareAndSwap(role, role+1) {
		go c.serve()
	}
}

// Serve reads for a server's connection until it ends. It returns then, or when
// another goroutine has taken over; Handler.Closed says when the connection has
// ended.
func (c *Conn) Serve() {
	c.begin()
	c.serve()
}

// serve is the reader's loop.
func (c *Conn) serve() {
	gone := true
	defer func() {
		// A handler may have ended this goroutine by runtime.Goexit.
		if r := c.role.Load(); gone && r%2 == 1 && c.EndInline(r) {
			go c.serve()
		}
	}()
	for {
		err := c.drain()
		if err == nil {
			c.Flush()
			if c.wakeHeir(true) {
				gone = false
				return
			}
			err = c.shrug(c.fill())
		}
		if err == nil {
			continue
		}
		gone = false
		if err != errRole {
			c.readFailed(err)
		}
		return
	}
}

// shrug is err without an interruption that was for a reader before, or has done
// what it was for.
func (c *Conn) shrug(err error) error {
	if err == nil || !isInterrupt(err) || !c.Settled() {
		return err
	}
	if c.rd.blockID == 0 {
		c.car.Resume()
		return nil
	}
	end := c.rd.blockSince.Add(c.lim.HeaderTime)
	if !time.Now().Before(end) {
		return err
	}
	c.car.SetReadDeadline(end)
	return nil
}

// readFailed ends a server's connection, since nothing can be read or what was
// read is wrong. The caller was the reader.
func (c *Conn) readFailed(err error) {
	switch {
	case !isInterrupt(err):
	case !c.Settled():
		err = connError(SettingsTimeout, "no preface and SETTINGS within %v", c.lim.Handshake)
	case c.rd.blockID != 0:
		err = connError(EnhanceYourCalm, "a header block took longer than %v", c.lim.HeaderTime)
	}
	c.fail(err)
	c.rd.drop()
}

// Settled reports whether the peer's settings have come. Until then it has looked
// at nothing of ours.
func (c *Conn) Settled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.settled
}
