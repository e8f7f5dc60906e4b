package h2

import (
	"context"
	"sync/atomic"
	"time"
)

// A server's reader hands its role to the handler of a stream whose messages go
// to and fro: the handler then reads its next message itself, and nobody has to be
// woken for it. The role is the one of role.go: odd while the handler works, even
// while it reads. A handler that works for long loses it.

const (
	// lostFor is for how many messages a stream isn't given the role after it has
	// lost it.
	lostFor = 256
	// shortTurn is for how long a handler may work on a message, on average, and
	// still read for the connection; shortTurnAlone if it is the only one.
	shortTurn      = 5 * time.Microsecond
	shortTurnAlone = 50 * time.Microsecond
)

// A talker is what a stream has of this. It is guarded by Stream.mu but for spoke.
type talker struct {
	spoke atomic.Bool // a message was sent since the last wait for one
	talks bool        // there was one then
	role  uint64      // the role that the handler has been given; 0 for none
	since time.Time   // when
	mean  time.Duration
	lost  int  // messages until it is given the role again
	leads bool // the handler waits for the peer, for the connection
}

// An heir is a stream whose handler the reader may hand its role to.
type heir struct {
	st *Stream
	id uint32
}

// toHeir leaves it to the end of what was read to wake the stream's handler, and
// reports whether it does. st.mu is held. The caller is the reader.
func (c *Conn) toHeir(st *Stream, id uint32) bool {
	if !st.talks || !st.toWake || c.rd.heir.st != nil || !st.satisfied(st.want) {
		return false
	}
	if st.lost > 0 {
		st.lost--
		return false
	}
	c.rd.heir = heir{st, id}
	return true
}

// wakeHeir wakes the heir's handler, if there is one, and with role hands it the
// role of the reader, who is the caller. It reports whether it did.
func (c *Conn) wakeHeir(role bool) bool {
	h := c.rd.heir
	if h.st == nil {
		return false
	}
	c.rd.heir = heir{}
	h.st.mu.Lock()
	defer h.st.mu.Unlock()
	if !h.st.of(c, h.id) || !h.st.toWake || !h.st.satisfied(h.st.want) {
		return false // something else has woken it, perhaps so long ago that it waits again
	}
	if role {
		h.st.beginTurn(c)
	}
	h.st.wakeReceiver()
	return role
}

// beginTurn lets the handler work with the role. st.mu is held.
func (st *Stream) beginTurn(c *Conn) {
	st.since = time.Now()
	st.role = c.BeginInline()
}

// endTurn takes the role from the handler, and reports whether it had it until
// now. st.mu is held.
func (st *Stream) endTurn() bool {
	role := st.role
	if role == 0 {
		return false
	}
	st.role = 0
	if !st.rconn.EndInline(role) {
		st.lost = lostFor
		return false
	}
	took := min(time.Since(st.since), 4*shortTurnAlone) // the system may have taken the processor away
	st.mean += (took - st.mean) / 8
	return true
}

// quickEnough reports whether a handler that works for so long on a message should
// read for the connection.
func (c *Conn) quickEnough(turn time.Duration) bool {
	return turn <= shortTurn || turn <= shortTurnAlone && c.Busy() == 1
}

// giveUpRole has another goroutine read if the stream's handler has the role.
func (st *Stream) giveUpRole(c *Conn) {
	st.mu.Lock()
	had := st.endTurn()
	st.mu.Unlock()
	if had {
		go c.serve()
	}
}

// awaitMessage waits for the handler of a server's stream, reading for the
// connection if that is possible. had says that the handler has the role.
func (st *Stream) awaitMessage(ctx context.Context, had, reads bool) error {
	c := st.conn
	for reads {
		c.rd.guest, c.rd.asked = true, false
		err := c.drain()
		c.rd.guest = false
		if err == nil {
			c.wakeHeir(false)
			if st.ending() {
				break // and so may be the handler's interest in what comes
			}
			if st.turn(c) {
				return nil
			}
			c.Flush()
			if c.rd.asked {
				break // calls come that a reader of its own serves faster
			}
			err = c.fillFor(st)
		}
		if err != nil {
			c.readFailed(err)
			had = false // nobody reads any more; whoever has ended the connection ends the stream
			break
		}
	}
	if had {
		st.mu.Lock()
		st.lost, st.mean = lostFor, 0
		st.mu.Unlock()
		go c.serve()
	}
	return st.follow(ctx, nil)
}

// ending reports whether nothing more comes on the stream.
func (st *Stream) ending() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.ended || st.err != nil
}

// turn begins a turn of the handler if what it waits for is there.
func (st *Stream) turn(c *Conn) bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.satisfied(st.want) {
		return false
	}
	st.beginTurn(c)
	return true
}

// fillFor reads once for the stream's handler. It doesn't wait for the peer once
// the stream has ended.
func (c *Conn) fillFor(st *Stream) error {
	st.mu.Lock()
	if st.satisfied(st.want) {
		st.mu.Unlock()
		return nil
	}
	st.leads = true
	st.mu.Unlock()
	err := c.fill()
	st.mu.Lock()
	st.leads = false
	st.mu.Unlock()
	return c.shrug(err)
}

// MayInline reports whether the reader may run a handler: not if it is itself the
// handler of a stream. The caller is the reader.
func (c *Conn) MayInline() bool {
	c.rd.asked = true
	return !c.rd.guest
}
