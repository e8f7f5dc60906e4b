package fastgrpc

import (
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A mood is how a simulated connection treats its bytes.
type mood struct {
	room    int     // bytes that wait for the reader before a write waits
	split   float64 // how likely a read or write takes only a part
	late    float64 // how likely what is written arrives late
	delay   time.Duration
	cut     float64 // how likely a direction is cut somewhere
	cutTo   int     // at most behind that many bytes
	tries   bool    // the carrier can write without waiting
	failing float64 // how likely dialing fails
}

// How a connection is cut.
const (
	cutEnd    = iota // the reader gets what was written, then the end
	cutReset         // what was written is lost, too
	cutFreeze        // nothing more arrives for a while, then as cutEnd
	cutKinds
)

// A half is one direction of a simulated connection.
type half struct {
	mood *mood
	link *simLink

	mu      sync.Mutex
	rng     *rand.Rand
	chunks  []simChunk
	size    int
	last    time.Time // when the last chunk arrives
	left    int       // bytes until the cut; -1 for never
	kind    int
	closed  error // of reads, behind what is there
	broken  error // of writes
	frozen  bool
	changed chan struct{}
	readBy  time.Time
	writeBy time.Time
}

type simChunk struct {
	at time.Time
	b  []byte
}

// A simLink is a simulated connection.
type simLink struct{ halves [2]*half }

// A simConn is one end of a simLink: a socket with a will of its own.
type simConn struct {
	in, out *half
	once    sync.Once
}

// newSimLink returns both ends of a connection.
func newSimLink(rng *rand.Rand, m *mood) (client, server *simConn) {
	l := &simLink{}
	for i := range l.halves {
		h := &half{mood: m, link: l, rng: rand.New(rand.NewPCG(rng.Uint64(), 0)), left: -1, changed: make(chan struct{})}
		if h.rng.Float64() < m.cut {
			// As many cuts near the start as far from it.
			limit := 1 << h.rng.IntN(20)
			h.left, h.kind = h.rng.IntN(min(limit, m.cutTo)+1), h.rng.IntN(cutKinds)
		}
		l.halves[i] = h
	}
	return &simConn{in: l.halves[1], out: l.halves[0]}, &simConn{in: l.halves[0], out: l.halves[1]}
}

// change wakes whoever waits. h.mu is held.
func (h *half) change() {
	close(h.changed)
	h.changed = make(chan struct{})
}

// end ends the direction: writes fail by broken, reads end by closed behind what
// is there.
func (h *half) end(closed, broken error, lose bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed == nil {
		h.closed = closed
	}
	if h.broken == nil {
		h.broken = broken
	}
	if lose {
		h.chunks, h.size = nil, 0
	}
	h.left = -1
	h.change()
}

// cut ends both directions.
func (l *simLink) cut(lose bool) {
	closed := io.EOF
	if lose {
		closed = syscall.ECONNRESET
	}
	for _, h := range l.halves {
		h.end(closed, syscall.EPIPE, lose)
	}
}

// part is how much of n bytes a call takes. h.mu is held.
func (h *half) part(n int) int {
	if n > 1 && h.rng.Float64() < h.mood.split {
		return 1 + h.rng.IntN(n)
	}
	return n
}

// moment is a time below limit. h.mu is held.
func (h *half) moment(limit time.Duration) time.Duration {
	return time.Duration(h.rng.Int64N(int64(limit)))
}

// tryWrite takes what it can of p.
func (h *half) tryWrite(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.broken != nil {
		return 0, h.broken
	}
	n := min(len(p), h.mood.room-h.size)
	if h.left >= 0 {
		n = min(n, h.left)
	}
	if n > 0 {
		n = h.part(n)
		at := time.Now()
		if h.rng.Float64() < h.mood.late {
			at = at.Add(h.moment(h.mood.delay))
		}
		if at.Before(h.last) {
			at = h.last
		}
		h.last = at
		h.chunks = append(h.chunks, simChunk{at, append([]byte(nil), p[:n]...)})
		h.size += n
		if h.left > 0 {
			h.left -= n
		}
		h.change()
	}
	if h.left == 0 && !h.frozen {
		switch h.kind {
		case cutFreeze:
			h.frozen = true
			h.last = time.Now().Add(time.Hour)
			time.AfterFunc(h.moment(time.Minute), func() { h.link.cut(false) })
		default:
			go h.link.cut(h.kind == cutReset)
		}
	}
	return n, nil
}

// await waits for a change, or until one of the times.
func await(changed <-chan struct{}, times ...time.Time) {
	var first time.Time
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	if first.IsZero() {
		<-changed
		return
	}
	timer := time.NewTimer(time.Until(first))
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	}
}

func passed(t time.Time) bool { return !t.IsZero() && !time.Now().Before(t) }

func (h *half) write(p []byte) (done int, err error) {
	for {
		n, err := h.tryWrite(p[done:])
		if done += n; err != nil || done == len(p) {
			return done, err
		}
		h.mu.Lock()
		by, changed, full := h.writeBy, h.changed, h.size >= h.mood.room || h.left == 0
		h.mu.Unlock()
		switch {
		case passed(by):
			return done, os.ErrDeadlineExceeded
		case full:
			await(changed, by)
		}
	}
}

// arrived returns how many bytes can be read, and when more can. h.mu is held.
func (h *half) arrived() (n int, next time.Time) {
	now := time.Now()
	for _, c := range h.chunks {
		if c.at.After(now) {
			return n, c.at
		}
		n += len(c.b)
	}
	return n, time.Time{}
}

// ready waits until there is something to read.
func (h *half) ready() error {
	for {
		h.mu.Lock()
		n, next := h.arrived()
		closed, by, changed := h.closed, h.readBy, h.changed
		if len(h.chunks) > 0 && !h.frozen {
			closed = nil
		}
		h.mu.Unlock()
		switch {
		case passed(by):
			return os.ErrDeadlineExceeded
		case n > 0:
			return nil
		case closed != nil:
			return closed
		}
		await(changed, next, by)
	}
}

func (h *half) read(p []byte) (done int, err error) {
	if err := h.ready(); err != nil {
		return 0, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n, _ := h.arrived()
	n = h.part(min(n, len(p)))
	for done < n {
		c := &h.chunks[0]
		m := copy(p[done:n], c.b)
		done += m
		if c.b = c.b[m:]; len(c.b) == 0 {
			h.chunks = h.chunks[1:]
		}
	}
	h.size -= n
	h.change()
	return n, nil
}

func (c *simConn) Read(p []byte) (int, error)  { return c.in.read(p) }
func (c *simConn) Write(p []byte) (int, error) { return c.out.write(p) }

func (c *simConn) Close() error {
	c.once.Do(func() {
		c.out.end(io.EOF, net.ErrClosed, false)
		c.in.end(net.ErrClosed, syscall.EPIPE, true)
	})
	return nil
}

func (c *simConn) SetReadDeadline(t time.Time) error {
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	c.in.readBy = t
	c.in.change()
	return nil
}

func (c *simConn) SetWriteDeadline(t time.Time) error {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.writeBy = t
	c.out.change()
	return nil
}

func (c *simConn) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *simConn) LocalAddr() net.Addr  { return simAddr{} }
func (c *simConn) RemoteAddr() net.Addr { return simAddr{} }

type simAddr struct{}

func (simAddr) Network() string { return "sim" }
func (simAddr) String() string  { return "sim" }

// A simCarrier is a simConn that can write without waiting, as a socket can.
type simCarrier struct{ *simConn }

// carrySim returns the carrier of one end.
func carrySim(c net.Conn) h2.Carrier {
	if s, ok := c.(*simConn); ok && s.in.mood.tries {
		return simCarrier{s}
	}
	return h2.NewCarrier(c)
}

func (c simCarrier) Read(size int) (*[]byte, int, error) {
	if err := c.in.ready(); err != nil {
		return nil, 0, err
	}
	b := bufpool.Shared.Get(size)
	n, err := c.in.read(*b)
	if err != nil {
		bufpool.Shared.Put(b)
		return nil, 0, err
	}
	return b, n, nil
}

func (c simCarrier) ReadInto(p, more []byte) (int, error) {
	both := make([]byte, len(p)+len(more))
	n, err := c.in.read(both)
	copy(more, both[copy(p, both[:n]):n])
	return n, err
}

func (c simCarrier) Tries() bool { return true }

func (c simCarrier) TryWrite(pieces [][]byte) (done int, err error) {
	for _, p := range pieces {
		n, err := c.out.tryWrite(p)
		if done += n; err != nil || n < len(p) {
			return done, err
		}
	}
	return done, nil
}

func (c simCarrier) Write(pieces [][]byte, stall time.Duration) error {
	for _, p := range pieces {
		c.SetWriteDeadline(time.Now().Add(stall))
		if _, err := c.out.write(p); err != nil {
			return err
		}
	}
	return c.SetWriteDeadline(time.Time{})
}

func (c simCarrier) Interrupt() { c.SetReadDeadline(time.Unix(1, 0)) }
func (c simCarrier) Resume()    { c.SetReadDeadline(time.Time{}) }
