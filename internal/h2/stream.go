package h2

import "sync"

// A Stream is one call. It may be used again for another call after Release.
// One goroutine may send while another receives.
type Stream struct {
	// User is the upper layer's.
	User any
	// MaxMessage is the largest message that is received, in bytes. It is set
	// before the first can come.
	MaxMessage int

	conn *Conn

	// Guarded by conn.mu.
	id         uint32
	sendWindow int64
	sentEnd    bool // END_STREAM or RST_STREAM was queued
	gone       bool // no longer among the connection's streams
	waiting    bool // among conn.blocked

	mu     sync.Mutex
	rid    uint32 // id and conn once more: what is late must not meet the next call
	rconn  *Conn
	head   []Field
	trail  []Field
	over   bool // a header list was over the limits
	got    bool // head is there
	ended  bool // the peer sends no more
	err    error
	want   want
	toWake bool // rwake is being waited for

	inbox
	recvWindow int64 // what the peer may still send
	extra      int64 // of it beyond the usual window, for a large message
	owed       int64 // consumed and not given back to the peer
	counted    int64 // of conn.unread

	// Of a server's stream.
	started bool
	atEnd   bool // StartAt

	watcher Watcher

	talker

	private batch // the receiving goroutine's

	rwake, wwake chan struct{}
}

// A Watcher is told when a stream ends before its time. It is called with the
// stream locked: it must not use it, nor wait.
type Watcher interface{ StreamEnded(error) }

// Watch sets who is told if the stream ends before its time, now if it has. The
// watch ends with Release.
func (st *Stream) Watch(w Watcher) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.watcher = w
	if st.err != nil && w != nil {
		w.StreamEnded(st.err)
	}
}

// want is what a receiving goroutine waits for.
type want uint8

const (
	wantNothing want = iota
	wantHead         // the header list, or the end
	wantMessage      // a whole message, or the end
	wantEnd          // the end
)

// satisfied reports whether what w asks for is there. st.mu is held.
func (st *Stream) satisfied(w want) bool {
	switch {
	case st.err != nil || st.ended:
		return true
	case w == wantHead:
		return st.got
	case w == wantMessage:
		return st.whole() || st.tooLarge
	case w == wantEnd:
		return st.tooLarge
	}
	return false
}

// wakeReceiver wakes the receiving goroutine if what it waits for is there.
// st.mu is held.
func (st *Stream) wakeReceiver() {
	if st.toWake && st.satisfied(st.want) {
		st.toWake = false
		select {
		case st.rwake <- struct{}{}:
		default:
		}
	}
}

// attach makes a stream one of the connection's. conn.mu is held.
func (c *Conn) attach(st *Stream, id uint32) {
	st.conn, st.id, st.sendWindow, st.sentEnd, st.gone, st.waiting = c, id, c.peerWindow, false, false, false
	if st.rwake == nil {
		st.rwake, st.wwake = make(chan struct{}, 1), make(chan struct{}, 1)
	}
	st.mu.Lock()
	st.rid, st.rconn = id, c
	st.recvWindow = int64(c.lim.StreamWindow)
	st.mu.Unlock()
	c.streams[id] = st
}

// Conn returns the connection that the stream was opened on.
func (st *Stream) Conn() *Conn { return st.conn }

// ID returns the stream's id.
func (st *Stream) ID() uint32 { return st.id }

// of reports whether the stream still is the one of that id on that connection.
// st.mu is held.
func (st *Stream) of(c *Conn, id uint32) bool { return st.rid == id && st.rconn == c }

// end ends the stream by an error from outside, if it still is the one of that
// id.
func (c *Conn) end(st *Stream, id uint32, err error) {
	st.mu.Lock()
	if st.of(c, id) {
		st.endLocked(err)
	}
	st.mu.Unlock()
	st.wakeSender()
}

// endLocked is end with st.mu held. A client's stream that the peer has ended
// in order stays so, whatever comes behind.
func (st *Stream) endLocked(err error) {
	if st.err == nil && (st.rconn.server || !st.ended) {
		st.err = err
		if st.watcher != nil {
			st.watcher.StreamEnded(err)
		}
	}
	if st.leads { // for the reader itself it is false
		st.rconn.car.Interrupt()
	}
	st.wakeReceiver()
}

// wakeSender wakes the sending goroutine, if it waits.
func (st *Stream) wakeSender() {
	select {
	case st.wwake <- struct{}{}:
	default:
	}
}

// Release ends what is left of the stream and makes it fit for another call.
// Nobody else may use it by then. code is what the peer is told if the stream is
// still open.
func (st *Stream) Release(code Code) {
	st.detach(code)
	st.mu.Lock()
	starving := st.uncount()
	st.rid, st.rconn = 0, nil
	st.inbox.free()
	st.private.free()
	clear(st.head)
	clear(st.trail)
	st.head, st.trail = st.head[:0], st.trail[:0]
	st.over, st.got, st.ended, st.err = false, false, false, nil
	st.want, st.toWake, st.started, st.atEnd, st.watcher = wantNothing, false, false, false, nil
	st.recvWindow, st.extra, st.owed = 0, 0, 0
	st.spoke.Store(false)
	st.talks, st.mean, st.lost = false, 0, 0
	st.mu.Unlock()
	st.conn.giveBack(st, 0, starving)
	select { // what was meant for this call must not wake the next
	case <-st.rwake:
	default:
	}
	select {
	case <-st.wwake:
	default:
	}
	st.conn, st.User = nil, nil
}

// Retire is Release for a stream that isn't used again. Whoever still waits on it
// learns that it has ended.
func (st *Stream) Retire(code Code) {
	st.detach(code)
	st.mu.Lock()
	starving := st.uncount()
	st.inbox.free()
	st.endLocked(&StreamError{Code: code})
	st.mu.Unlock()
	st.conn.giveBack(st, 0, starving)
	st.wakeSender()
}

// detach takes the stream off its connection.
func (st *Stream) detach(code Code) {
	c := st.conn
	st.giveUpRole(c)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel(st, code)
	c.unblock(st)
	if c.server {
		c.busy--
		c.finishDrain()
	}
}

// Cancel ends the stream if it is still open, tells the peer by code, and wakes
// whoever waits for the stream. It may be called by anyone as long as the stream
// isn't released.
func (st *Stream) Cancel(code Code) {
	c := st.conn
	c.mu.Lock()
	c.cancel(st, code)
	c.mu.Unlock()
	st.mu.Lock()
	starving := st.uncount()
	st.inbox.free()
	st.endLocked(&StreamError{Code: code})
	st.mu.Unlock()
	c.giveBack(st, 0, starving)
	st.wakeSender()
}

// cancel resets a stream that is still open. c.mu is held.
func (c *Conn) cancel(st *Stream, code Code) {
	if st.gone {
		return
	}
	if c.err == nil {
		c.out.arena = appendReset(c.out.arena, st.id, code)
	}
	st.sentEnd = true
	c.remove(st)
	c.flush(false)
}

// remove takes the stream off the connection. c.mu is held.
func (c *Conn) remove(st *Stream) {
	if st.gone {
		return
	}
	st.gone = true
	delete(c.streams, st.id)
	if c.server {
		c.early.add(st.id)
	} else {
		c.open--
		c.admit()
	}
	c.finishDrain()
}
