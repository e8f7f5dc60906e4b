package h2

import (
	"context"
	"errors"
	"fmt"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
)

// A Block is a header list to send: what many calls share, named by a key for
// the connection to remember its bytes by, and what is this call's own.
type Block struct {
	Key  string
	Head func(key string) Head // called if the connection doesn't remember
	Vary []Field
}

// A Payload is a message with its prefix. If Own is not nil it is a buffer of
// bufpool.Shared that B is part of, and becomes the connection's; else B is copied
// where it is kept.
type Payload struct {
	B   []byte
	Own *[]byte

	spliced bool
}

// A Write is what is to be sent on a stream, in this order. Each part may be
// left out.
type Write struct {
	Head    *Block
	Payload Payload
	Trail   *Block // with END_STREAM
	End     bool   // END_STREAM without a Trail
	// More says that the caller has probably more to send at once.
	More bool
	// Hold leaves the bytes to the caller's goroutine, which reads for the
	// connection and writes before it waits; see Conn.Inline.
	Hold bool
}

const (
	// copied is up to what size a payload is copied behind its frame's header.
	// Larger ones go by reference.
	copied = 8 << 10
	// turn is what a stream may queue before others get theirs.
	turn = 64 << 10
	// leastFrame is the smallest part of a message that is worth a frame.
	leastFrame = 1 << 10
)

// ErrStreamDone is the error of sending on a stream that has ended. Receiving
// says why.
var ErrStreamDone = errors.New("the stream has ended")

// Send sends. It waits if the peer's windows, or a peer that reads slowly, make
// it wait, until ctx is done. It takes over w.Payload.Own whatever it returns.
func (st *Stream) Send(ctx context.Context, w *Write) error {
	c := st.conn
	c.mu.Lock()
	for {
		if st.gone || st.sentEnd {
			c.mu.Unlock()
			w.Payload.drop()
			return ErrStreamDone
		}
		if c.queueWrite(st, w) {
			switch {
			case w.More && c.out.size() < turn:
				c.later()
			case !w.Hold || c.out.size() > turn:
				c.flush(true)
			}
			c.mu.Unlock()
			return nil
		}
		c.flush(false)
		if c.mayQueue(st, len(w.Payload.B)) {
			continue
		}
		// Room comes of writing, a window only of reading.
		read := c.out.size() < c.lim.QueuedBytes
		c.block(st)
		c.mu.Unlock()
		if err := st.waitToSend(ctx, read); err != nil {
			w.Payload.drop()
			return err
		}
		c.mu.Lock()
	}
}

// queueWrite queues what may be sent now, and reports whether that was all. c.mu
// is held.
func (c *Conn) queueWrite(st *Stream, w *Write) bool {
	c.progress++
	c.strikes.wrote = true
	st.spoke.Store(true)
	if w.Head != nil {
		c.queueBlock(st.id, w.Head, false)
		w.Head = nil
	}
	end := w.End && w.Trail == nil
	if len(w.Payload.B) > 0 {
		if !c.queueData(st, &w.Payload, end) {
			return false
		}
	} else if end {
		c.out.arena = appendFrame(c.out.arena, 0, frameData, flagEndStream, st.id)
	}
	if w.Trail != nil {
		c.queueBlock(st.id, w.Trail, true)
		end = true
	}
	if end {
		c.sentEnd(st)
	}
	return true
}

// sentEnd takes note that END_STREAM is queued. A server's stream is over then:
// a client that is still sending is told that nobody listens. c.mu is held.
func (c *Conn) sentEnd(st *Stream) {
	st.sentEnd = true
	if !c.server {
		return
	}
	st.mu.Lock()
	open := !st.ended && st.err == nil
	st.mu.Unlock()
	if open {
		c.out.arena = appendReset(c.out.arena, st.id, NoError)
	}
	c.remove(st)
}

// queueBlock queues a header list, in as many frames as it takes. c.mu is held.
func (c *Conn) queueBlock(id uint32, b *Block, end bool) {
	flags := uint8(flagEndHeaders)
	if end {
		flags |= flagEndStream
	}
	a := c.out.arena
	start := len(a)
	a = appendFrame(a, 0, frameHeaders, flags, id)
	a = c.heads.appendHead(a, &c.enc, b.Key, b.Head)
	for _, f := range b.Vary {
		a = c.enc.varying(a, f)
	}
	n := len(a) - start - frameHead
	if n <= c.peerMaxFrame {
		setLength(a[start:], n)
		c.out.arena = a
		return
	}
	block := append([]byte(nil), a[start+frameHead:]...)
	a = a[:start]
	for typ, more := frameHeaders, true; more; typ = frameContinuation {
		part := block[:min(len(block), c.peerMaxFrame)]
		block = block[len(part):]
		more = len(block) > 0
		f := flags
		if more {
			f &^= flagEndHeaders
		}
		if typ == frameContinuation {
			f &^= flagEndStream
		}
		a = appendFrame(a, len(part), typ, f, id)
		a = append(a, part...)
	}
	c.out.arena = a
}

// quota is how many bytes of n the stream may send now. c.mu is held.
func (c *Conn) quota(st *Stream, n int) int {
	if c.out.size() >= c.lim.QueuedBytes {
		return 0
	}
	q := int(min(int64(n), st.sendWindow, c.sendWindow))
	if q < min(n, leastFrame) {
		return 0
	}
	return min(q, c.peerMaxFrame)
}

func (c *Conn) mayQueue(st *Stream, n int) bool {
	return c.err == nil && !st.gone && c.quota(st, n) > 0
}

// queueData queues as much of a message as the windows and the turn allow, and
// reports whether that was all. c.mu is held.
func (c *Conn) queueData(st *Stream, p *Payload, end bool) bool {
	for sent := 0; sent < turn; {
		n := c.quota(st, len(p.B))
		if n == 0 {
			return false
		}
		last := n == len(p.B)
		var flags uint8
		if last && end {
			flags = flagEndStream
		}
		c.out.arena = appendFrame(c.out.arena, n, frameData, flags, st.id)
		if p.Own == nil || n <= copied {
			c.out.arena = append(c.out.arena, p.B[:n]...)
		} else {
			c.out.splice(p.B[:n], nil)
			p.spliced = true
		}
		st.sendWindow -= int64(n)
		c.sendWindow -= int64(n)
		sent += n
		if p.B = p.B[n:]; !last {
			continue
		}
		if p.spliced {
			c.out.owned = append(c.out.owned, p.Own)
			p.Own = nil
		}
		p.drop()
		return true
	}
	return false
}

// drop gives up a payload that will not be sent. Parts that were queued by
// reference may still be written, so their buffer is left to the collector.
func (p *Payload) drop() {
	if p.Own != nil && !p.spliced {
		bufpool.Shared.Put(p.Own)
	}
	p.Own, p.B = nil, nil
}

// waitToSend waits until the stream is worth another look. With read it reads
// for the connection if nobody does.
func (st *Stream) waitToSend(ctx context.Context, read bool) error {
	c := st.conn
	st.giveUpRole(c)
	var token chan struct{} // a server's connection has its own reader
	if !c.server && read {
		token = c.token
		c.follows.Add(1)
	}
	select {
	case <-st.wwake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
		return c.Err()
	case token <- struct{}{}:
	}
	c.lead(ctx, false, func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return !st.waiting || st.gone
	})
	return ctx.Err()
}

// An opening is a call that waits until the peer's limit lets it begin.
type opening struct{ ready chan struct{} }

// Open begins a call with st, a stream that is not in use, and sends. It waits
// while the peer has as many streams as it takes. After an error that matches
// ErrNotOpened nothing was sent, and w.Payload is still the caller's.
func (c *Conn) Open(ctx context.Context, st *Stream, w *Write) error {
	c.mu.Lock()
	for queued := false; ; queued = true {
		if c.err != nil || c.draining {
			err := c.err
			c.admit()
			c.mu.Unlock()
			if err == nil {
				return ErrNotOpened
			}
			return fmt.Errorf("%w: %w", ErrNotOpened, err)
		}
		if uint32(c.open) < c.peerStreams && (queued || len(c.queue) == 0) {
			break
		}
		if err := c.waitToOpen(ctx, queued); err != nil {
			w.Payload.drop()
			return err
		}
	}
	if err := c.checkHead(w.Head); err != nil {
		c.admit() // the turn is another's
		c.mu.Unlock()
		w.Payload.drop()
		return err
	}
	id := c.nextID
	if c.nextID += 2; c.nextID > maxStreamID/4*3 {
		c.draining = true // in good time for another connection
	}
	c.open++
	c.attach(st, id)
	if c.queueWrite(st, w) {
		c.flush(true)
		c.mu.Unlock()
		return nil
	}
	c.mu.Unlock()
	return st.Send(ctx, w)
}

// A HeaderListError is a header list that is larger than the peer takes.
type HeaderListError struct{ Size, Limit uint32 }

func (e *HeaderListError) Error() string {
	return fmt.Sprintf("header list size to send violates the maximum size (%d bytes) set by server", e.Limit)
}

// checkHead spares the peer a header list that it would refuse. c.mu is held.
func (c *Conn) checkHead(b *Block) error {
	if c.peerHeaders == 0 || len(b.Vary) == 0 {
		return nil
	}
	var n uint32
	for _, f := range b.Vary {
		n += f.size()
	}
	if n <= c.peerHeaders/2 {
		return nil // without looking at the rest, which is small
	}
	for _, f := range b.Head(b.Key) {
		n += f.size()
	}
	if n <= c.peerHeaders {
		return nil
	}
	return &HeaderListError{n, c.peerHeaders}
}

// waitToOpen waits for a turn. c.mu is held before and, without an error, after.
// A call that was woken in vain goes to the front again.
func (c *Conn) waitToOpen(ctx context.Context, again bool) error {
	o := &opening{make(chan struct{}, 1)}
	if again {
		c.queue = append([]*opening{o}, c.queue...)
	} else {
		c.queue = append(c.queue, o)
	}
	c.mu.Unlock()
	c.watchIdle()
	select {
	case <-o.ready:
		c.mu.Lock()
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, q := range c.queue {
		if q == o {
			c.queue = append(c.queue[:i], c.queue[i+1:]...)
			return &QueueError{ctx.Err()}
		}
	}
	c.admit() // it was our turn; the next one's then
	return &QueueError{ctx.Err()}
}

// A QueueError is why a call ended that the peer's limit on streams had kept
// from beginning.
type QueueError struct{ Err error }

func (e *QueueError) Error() string { return e.Err.Error() }
func (e *QueueError) Unwrap() error { return e.Err }

// admit lets the next call begin if there is room. c.mu is held.
func (c *Conn) admit() {
	if len(c.queue) > 0 && (uint32(c.open) < c.peerStreams || c.draining) {
		o := c.queue[0]
		c.queue = c.queue[1:]
		o.ready <- struct{}{}
	}
}
