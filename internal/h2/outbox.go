package h2

import (
	"errors"
	"runtime"
	"syscall"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
)

// An outbox is what waits to be written: small frames one behind the other in
// an arena, large payloads by reference between them.
type outbox struct {
	arena  []byte
	mark   int      // up to here the arena is in pieces
	pieces [][]byte // in the order of the wire
	owned  []*[]byte
	large  int // bytes by reference
}

// size is how many bytes wait.
func (o *outbox) size() int { return len(o.arena) + o.large }

// splice adds a payload by reference. own, if not nil, goes back to the pool
// when all is written.
func (o *outbox) splice(b []byte, own *[]byte) {
	o.cut()
	o.pieces = append(o.pieces, b)
	o.large += len(b)
	if own != nil {
		o.owned = append(o.owned, own)
	}
}

// cut makes a piece of what the arena has since the last.
func (o *outbox) cut() {
	if len(o.arena) > o.mark {
		o.pieces = append(o.pieces, o.arena[o.mark:len(o.arena):len(o.arena)])
		o.mark = len(o.arena)
	}
}

// reset makes the outbox empty once it is written.
func (o *outbox) reset() {
	for i, b := range o.owned {
		bufpool.Shared.Put(b)
		o.owned[i] = nil
	}
	clear(o.pieces)
	o.arena, o.mark, o.pieces, o.owned, o.large = o.arena[:0], 0, o.pieces[:0], o.owned[:0], 0
	if cap(o.pieces) > 256 {
		o.pieces, o.owned = nil, nil
	}
	if cap(o.arena) > 1<<20 {
		o.arena = nil
	}
}

// skip is the pieces without their first n bytes.
func skip(pieces [][]byte, n int) [][]byte {
	for len(pieces) > 0 && n >= len(pieces[0]) {
		n -= len(pieces[0])
		pieces = pieces[1:]
	}
	if n > 0 {
		pieces[0] = pieces[0][n:]
	}
	return pieces
}

// writeRounds is how many times a goroutine writes what others have queued in
// the meantime before it gives the task away.
const writeRounds = 8

// flush writes what waits, unless somebody is writing, who will do it then. It
// never waits for the peer: what can't be written at once is left to a goroutine.
// With yield it lets others add to what is written first. c.mu is held, and given
// up in between.
func (c *Conn) flush(yield bool) {
	if c.writing || c.err != nil || c.out.size() == 0 {
		return
	}
	c.writing = true
	if !c.tries {
		go c.writeAll(nil)
		return
	}
	if yield && c.open+c.busy > 1 {
		c.mu.Unlock()
		runtime.Gosched()
		c.mu.Lock()
	}
	for range writeRounds {
		if c.nothingToWrite() {
			c.stopWriting()
			return
		}
		left, err := c.tryWrite(c.takeOut())
		c.mu.Lock()
		switch {
		case err != nil:
			c.stopWriting()
			c.mu.Unlock()
			c.failWrite(err)
			c.mu.Lock()
			return
		case len(left) > 0:
			go c.writeAll(left)
			return
		}
		c.written()
	}
	if c.out.size() == 0 {
		c.stopWriting()
		return
	}
	go c.writeAll(nil)
}

// nothingToWrite reports whether the writer is done. c.mu is held.
func (c *Conn) nothingToWrite() bool { return c.out.size() == 0 || c.err != nil && !c.parting }

// partingTime is how long a peer that broke the protocol may take to read why it
// loses the connection.
const partingTime = time.Second

// part leaves it to the writer to send a last frame, in place of what waits, and
// to close the carrier. c.mu is held.
func (c *Conn) part(last []byte) {
	c.parting = true
	c.out.reset()
	c.out.arena = append(c.out.arena, last...)
	time.AfterFunc(partingTime, func() { c.car.Close() })
	if !c.writing {
		c.writing = true
		go c.writeAll(nil)
	}
}

// failWrite ends the connection, since a write has failed. Before a server's
// settings are there that is left to the reader: a server that hangs up on our
// first bytes may have said why.
func (c *Conn) failWrite(err error) {
	c.mu.Lock()
	wait := c.Judge != nil && !c.settled && c.err == nil && !errors.Is(err, syscall.ENOBUFS) && !errors.Is(err, syscall.ENOMEM)
	if wait {
		c.written()
	}
	c.mu.Unlock()
	if !wait {
		c.fail(err)
	}
}

// stopWriting says that nobody writes any more. c.mu is held.
func (c *Conn) stopWriting() {
	c.writing = false
	if c.parting {
		go c.car.Close()
	}
	if c.flushed != nil {
		close(c.flushed)
		c.flushed = nil
	}
}

// takeOut takes what waits for the writer, which is the caller, and gives up
// c.mu. The pieces belong to c.spare.
func (c *Conn) takeOut() [][]byte {
	c.out, c.spare = c.spare, c.out
	c.control = 0
	c.mu.Unlock()
	c.spare.cut()
	return c.spare.pieces
}

// tryWrite writes without waiting and returns what is left.
func (c *Conn) tryWrite(pieces [][]byte) ([][]byte, error) {
	for len(pieces) > 0 {
		n, err := c.car.TryWrite(pieces)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			break
		}
		pieces = skip(pieces, n)
	}
	return pieces, nil
}

// written says that c.spare is written. c.mu is held.
func (c *Conn) written() {
	c.spare.reset()
	if c.out.size() < c.lim.QueuedBytes {
		c.wakeBlocked()
	}
}

// later has a goroutine write what waits, so that a sender with more to come can
// go on. c.mu is held.
func (c *Conn) later() {
	if c.writing || c.err != nil || c.out.size() == 0 {
		return
	}
	c.writing = true
	go c.writeAll(nil)
}

// smallBatch is how few bytes are not worth a write if more may come at once.
const smallBatch = 4 << 10

// writeAll is the goroutine that writes what others must not or need not wait
// for: first what is left of c.spare, then whatever comes.
func (c *Conn) writeAll(left [][]byte) {
	for {
		var err error
		if len(left) > 0 {
			if left, err = c.tryWrite(left); err == nil && len(left) > 0 {
				c.keepReading()
				err = c.car.Write(left, c.lim.WriteStall)
				c.stuck.Store(false)
			}
		}
		c.mu.Lock()
		if err != nil {
			c.stopWriting()
			c.mu.Unlock()
			c.failWrite(err)
			return
		}
		c.written()
		if n := c.out.size(); n > 0 && n < smallBatch {
			c.mu.Unlock()
			runtime.Gosched()
			c.mu.Lock()
		}
		if c.nothingToWrite() {
			c.stopWriting()
			c.mu.Unlock()
			return
		}
		left = c.takeOut()
	}
}

// keepReading makes sure that a client's end is read while a write may wait for
// the peer: it may be waiting for us.
func (c *Conn) keepReading() {
	if c.server || !c.tries {
		return // read always; or by the sentinel's doing, soon
	}
	c.stuck.Store(true)
	go c.readIdle()
}

// answer queues a control frame that the peer has caused, and reports whether
// there was room. c.mu is held.
func (c *Conn) answer() bool {
	c.control++
	return c.control <= c.lim.QueuedControl
}

// Flush writes what a Write with Hold has left.
func (c *Conn) Flush() {
	c.mu.Lock()
	c.flush(false)
	c.mu.Unlock()
}

// Busy returns how many calls a server's connection has under way.
func (c *Conn) Busy() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.busy
}
