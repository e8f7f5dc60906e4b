package h2

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// A Handler is the layer above a connection. Its methods are called on whatever
// goroutine reads, must not block, and hold none of the connection's locks.
type Handler interface {
	// NewStream returns a stream for a call that begins. Servers only.
	NewStream() *Stream
	// Head takes a request's header list, valid until it returns, and says when
	// Start is due. over says that the list was cut at the limits. Servers only.
	Head(st *Stream, fields []Field, over bool) StartAt
	// Start begins to serve the stream. It returns false if the caller no longer
	// is the connection's reader; see Conn.Inline. Servers only.
	Start(st *Stream) bool
	// Ready says that the peer's first SETTINGS are there.
	Ready(c *Conn)
	// GoAway says that the peer takes no more streams than it has.
	GoAway(c *Conn, e *GoAwayError)
	// Closed says that the connection has ended. It is called once.
	Closed(c *Conn, err error)
}

// StartAt says when to serve a request.
type StartAt int

const (
	// AtHead is as soon as there is a header list.
	AtHead StartAt = iota
	// AtEnd is when the whole request is there, or will never be.
	AtEnd
)

// A ConnError is what ended a connection: a breach of the protocol by the peer,
// or, if Remote, one that the peer found in us.
type ConnError struct {
	Code   Code
	Text   string
	Remote bool
}

func (e *ConnError) Error() string {
	if e.Remote {
		return fmt.Sprintf("the peer ended the connection: %v %q", e.Code, e.Text)
	}
	return fmt.Sprintf("connection error: %v: %s", e.Code, e.Text)
}

func connError(code Code, format string, args ...any) error {
	return &ConnError{Code: code, Text: fmt.Sprintf(format, args...)}
}

// A GoAwayError is a peer's GOAWAY.
type GoAwayError struct {
	Last uint32 // the highest stream that it may have acted on
	Code Code
	Text string
}

func (e *GoAwayError) Error() string {
	return fmt.Sprintf("the peer takes no more calls on this connection: %v %q", e.Code, e.Text)
}

// A StreamError is what ended a stream before its time.
type StreamError struct {
	Code   Code
	Remote bool
}

func (e *StreamError) Error() string {
	if e.Remote {
		return fmt.Sprintf("stream terminated by RST_STREAM with error code: %v", e.Code)
	}
	return fmt.Sprintf("stream reset: %v", e.Code)
}

// ErrClosed is the error of a connection that this end closed.
var ErrClosed = errors.New("connection closed")

// errHungUp is the error of a connection that the other end has closed.
var errHungUp = fmt.Errorf("the other end closed the connection: %w", io.EOF)

// ErrNotOpened is why a connection takes no new stream: it has ended, one of its
// ends is closing it, or its ids are used up. Another connection may do.
var ErrNotOpened = errors.New("the connection takes no new calls")

// A Conn is one end of a connection.
type Conn struct {
	car    Carrier
	h      Handler
	lim    Limits
	server bool
	tries  bool // of the carrier
	guard  *Sentinel

	// Judge, if not nil, says what is wrong with the first bytes that a server has
	// sent, if anything is, and makes the error of a connection that ends before the
	// server's settings are there. It is set before Start, keeps nothing, and is
	// called with the connection locked.
	Judge func(first []byte, err error) error

	mu      sync.Mutex
	err     error // why the connection has ended
	streams map[uint32]*Stream
	open    int    // client: streams that count against the peer's limit
	nextID  uint32 // client: of the next stream; server: the highest of the peer's
	busy    int    // server: handlers at work
	early   ids    // server: streams that we ended before the client did

	// What the peer has set.
	peerMaxFrame int
	peerWindow   int64 // initial
	peerStreams  uint32
	peerHeaders  uint32 // size of a header list; 0 if it hasn't said
	settled      bool   // its first SETTINGS are there

	first [firstBytes]byte // what a server began with
	had   int              // bytes in first

	// Sending.
	sendWindow int64
	enc        encoder
	heads      headCache
	out, spare outbox
	writing    bool
	control    int // answers in out
	blocked    []*Stream
	queue      []*opening // client: calls waiting for the peer's stream limit

	// Receiving.
	recvWindow int64        // what the peer may still send; guarded by mu
	unread     atomic.Int64 // bytes that wait for slow readers

	// GOAWAY.
	draining  bool          // no new streams
	goAway    *GoAwayError  // the peer's last
	sentLast  uint32        // server: in our GOAWAY
	sentFinal bool          // our GOAWAY named a real id
	finishing bool          // closing as soon as all is written
	parting   bool          // the writer closes the carrier behind our last frame
	flushed   chan struct{} // closed when nothing is left to write, if somebody waits for that
	pings     map[[8]byte]chan<- struct{}
	pingCount uint64
	keep      *keeper // nil without keep-alive
	strikes   strikes // server: the client's pings

	resets, glitches rate // the reader's
	progress         int  // HEADERS and DATA either way since the last glitch; guarded by mu

	// A client's reader whose context can be done; see watchLeader.
	leadMu    sync.Mutex
	leader    context.Context
	stopWatch func() bool

	// The reader's, which at a client is the holder of token.
	token chan struct{}
	rd    reader
	dec   decoder

	role    atomic.Uint64 // server: see role.go
	leads   atomic.Uint64 // client: counts takings of the token
	follows atomic.Uint64 // client: counts waits for another reader
	stuck   atomic.Bool   // client: a write waits for the peer
	watch   atomic.Bool   // the sentinel looks after it
	quiet   int           // the sentinel's: ticks without a change
	seen    uint64        // the sentinel's: role or leads when it last looked

	ready chan struct{} // closed when the peer's settings are there
	done  chan struct{} // closed when the connection has ended
}

// NewConn returns one end of a connection. A server's must then be served by
// Serve, a client's begun by Start. Nothing is sent or read before. guard may be
// nil for the process's own.
func NewConn(car Carrier, h Handler, server bool, lim Limits, guard *Sentinel) *Conn {
	c := &Conn{
		car: car, h: h, server: server, lim: lim.withDefaults(), tries: car.Tries(), guard: guard,
		streams:      map[uint32]*Stream{},
		peerMaxFrame: minFrameSize, peerWindow: defaultWindow, peerStreams: 1 << 31,
		sendWindow: defaultWindow,
		recvWindow: defaultWindow,
		sentLast:   maxStreamID,
		token:      make(chan struct{}, 1),
		done:       make(chan struct{}),
		ready:      make(chan struct{}),
	}
	if guard == nil {
		c.guard = watchman
	}
	c.enc.max = tableSize
	c.dec.init(&c.lim)
	c.resets = rate{burst: c.lim.Resets, perSecond: c.lim.ResetsPerSecond}
	c.glitches = rate{burst: c.lim.Glitches, perSecond: c.lim.GlitchesPerSecond}
	if !server {
		c.nextID = 1
		// Before the peer's SETTINGS there may be calls, but not without end.
		c.peerStreams = 100
	}
	return c
}

// Done returns a channel that is closed when the connection has ended.
func (c *Conn) Done() <-chan struct{} { return c.done }

// Err returns why the connection has ended, or nil.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Load returns how many streams are open, and a number that grows with each that
// is opened.
func (c *Conn) Load() (open int, opened uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(len(c.streams), c.busy), uint64(c.nextID)
}

// Close ends the connection and all its streams at once.
func (c *Conn) Close() { c.fail(ErrClosed) }

// CloseWith is Close for another reason.
func (c *Conn) CloseWith(err error) { c.fail(err) }

// fail ends the connection. It is the only way: the first error stays, the peer
// is told why if it has to be, streams end, and whoever waits is woken.
func (c *Conn) fail(err error) {
	if err == io.EOF { // which from a stream says that all is there
		err = errHungUp
	}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	if c.Judge != nil && !c.settled {
		err = c.Judge(c.first[:c.had], err)
	}
	c.err = err
	c.draining = true
	if c.keep != nil {
		c.keep.timer.Stop()
	}
	var last []byte
	switch words := c.lastWords(err); {
	case words == nil:
	case err != ErrClosed:
		c.part(words)
	case !c.writing: // otherwise a frame may be half written
		last = words
	}
	parting := c.parting
	streams := c.streams
	c.streams = nil
	for _, st := range streams {
		st.gone = true
	}
	queue := c.queue
	c.queue, c.blocked, c.pings = nil, nil, nil
	c.mu.Unlock()

	close(c.done)
	for id, st := range streams {
		c.end(st, id, err)
	}
	for _, o := range queue {
		o.ready <- struct{}{}
	}
	if last != nil && c.tries {
		c.car.TryWrite([][]byte{last})
	} else if last != nil {
		c.car.Write([][]byte{last}, lastWordsTime)
	}
	if !parting {
		c.car.Close()
	}
	c.h.Closed(c, err)
}

// lastWordsTime is how long a peer has to read that we close its connection.
const lastWordsTime = 100 * time.Millisecond

// lastWords is what the peer is told when the connection ends by err.
func (c *Conn) lastWords(err error) []byte {
	var ce *ConnError
	switch {
	case errors.As(err, &ce) && !ce.Remote:
		return appendGoAway(nil, c.lastPeerID(), ce.Code, ce.Text)
	case err == ErrClosed && !c.sentFinal:
		return appendGoAway(nil, c.lastPeerID(), NoError, "")
	}
	return nil
}

// lastPeerID is the highest stream of the peer's that we may have acted on.
// c.mu is held.
func (c *Conn) lastPeerID() uint32 {
	if c.server {
		return c.nextID
	}
	return 0
}
