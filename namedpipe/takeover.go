package namedpipe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// A takeover is a listener's part in passing its name from process to process
// (ListenConfig.TakeOver). Beside its own pipe such a listener has a second one,
// for this user alone, on which its successor asks:
//
//	successor    connects; each end checks that the other is of its own user
//	predecessor  sends an offer, with its socket or the handle that keeps the name
//	successor    sends a byte at its first Accept
//	predecessor  accepts no more; on Windows it passes on the instances that wait
//	predecessor  closes the second pipe, then the connection
//	successor    makes the second pipe its own
//
// A connection that ends before the byte changes nothing: the predecessor goes
// on. It makes one offer at a time, so two successors can't both have the name.
type takeover struct {
	l    *Listener
	name string       // of the second pipe
	lc   ListenConfig // of the second pipe

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	begun  atomic.Bool

	accepted atomic.Int64  // when a connection was accepted last, in Unix nanoseconds
	unused   atomic.Int64  // connections that Accept has returned and nobody has used
	used     chan struct{} // has a value when there are fewer

	mu       sync.Mutex
	before   *Conn     // to the predecessor, until the first Accept
	asks     *Listener // the second pipe, once it is this listener's
	offering *Conn     // to a successor that has the offer
	closed   bool
}

const (
	// handOverTime bounds the steps of the other process.
	handOverTime = 5 * time.Second
	// settleTime is for the first request on a connection that was accepted last.
	// A new connection of .NET's that is told to go before it fails the request.
	settleTime = 200 * time.Millisecond
	takes      = 'a' // the successor's byte

	// After a failure to make the second pipe, the next try comes after againPause,
	// which doubles up to againPauseMost: less than a successor waits by default.
	againPause     = 10 * time.Millisecond
	againPauseMost = time.Second
)

// errTakenOver is what Accept returns at last.
var errTakenOver error = &problem{
	text:   "another process has taken the name over: finish the calls under way, then exit",
	causes: []error{ErrReplaced},
}

// An offer is what a predecessor sends: 16 bytes.
type offer struct {
	removes bool     // its Close would have removed the socket's file
	handle  uint64   // what keeps the name on Windows, a handle of the predecessor's
	file    *os.File // its socket, which comes beside the bytes; nil on Windows
}

const (
	offerSize    = 16
	offerVersion = 1
	offerRemoves = 1
)

func (o offer) encode() []byte {
	b := make([]byte, offerSize)
	b[0] = offerVersion
	if o.removes {
		b[1] |= offerRemoves
	}
	binary.LittleEndian.PutUint64(b[8:], o.handle)
	return b
}

// listenInTurn makes the listener: from a predecessor's offer, or as the first
// of its name.
func (l *Listener) listenInTurn(ctx context.Context, cfg ListenConfig) error {
	t := &takeover{l: l, name: pipename.Next(l.addr.path), used: make(chan struct{}, 1)}
	t.lc = ListenConfig{Access: Access{alone: true}, Instances: 1, Logger: cfg.Logger, NameTakenTimeout: -1}
	before, o, err := t.ask(ctx, max(cfg.NameTakenTimeout, time.Second))
	if err != nil {
		return err
	}
	if before != nil {
		if err := l.join(cfg, before, o); err != nil {
			before.Close()
			return err
		}
		t.before = before
	} else {
		if err := l.start(cfg); errors.Is(err, errNameTaken) {
			return &problem{text: err.Error() + "; or set ListenConfig.TakeOver in both servers", causes: []error{err}}
		} else if err != nil {
			return err
		}
		if t.asks, err = t.lc.Listen(ctx, t.name); err != nil {
			l.l.close()
			return explain(err, "can't create the pipe through which a new server takes the name over", "")
		}
		t.begun.Store(true)
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	l.takeover = t
	if before == nil {
		go t.serve(t.asks)
	}
	return nil
}

// ask connects to the predecessor and waits for its offer. There is none if the
// connection is nil.
func (t *takeover) ask(ctx context.Context, limit time.Duration) (*Conn, offer, error) {
	end := time.Now().Add(limit)
	ctx, cancel := context.WithDeadline(ctx, end)
	defer cancel()
	own := func(p *Peer) error {
		if !p.SameUser {
			return errors.New("it is another user's")
		}
		return nil
	}
	c, err := (&Dialer{Server: Trust{Check: own}}).Dial(ctx, t.name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, offer{}, explain(err, "the server that has the name is another user's", "only a process of the same user can take it over")
	case isMissing(err):
		return nil, offer{}, nil
	case err != nil:
		return nil, offer{}, explainAs(errNameTaken, err, "the server that has the name doesn't answer", "stop it")
	}
	c.SetReadDeadline(end)
	b := make([]byte, offerSize)
	file, err := c.receive(b)
	if err == nil && b[0] != offerVersion {
		err = fmt.Errorf("its version is %d, not %d", b[0], offerVersion)
	}
	if err != nil {
		c.Close()
		if file != nil {
			file.Close()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, offer{}, explainAs(errNameTaken, err, "another process is about to take the name over", "wait until it serves, or stop it")
		}
		return nil, offer{}, explainAs(errNameTaken, err, "the server that has the name has made no offer", "try again")
	}
	c.SetReadDeadline(time.Time{})
	return c, offer{removes: b[1]&offerRemoves != 0, handle: binary.LittleEndian.Uint64(b[8:]), file: file}, nil
}

// begin makes the name this listener's at the first Accept.
func (t *takeover) begin() error {
	if t.begun.Load() {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.begun.Load() || t.closed {
		return nil
	}
	t.before.SetDeadline(time.Now().Add(handOverTime))
	if err := t.l.l.begin(t.before); err != nil {
		return err
	}
	t.begun.Store(true)
	go t.succeed()
	return nil
}

// succeed follows the predecessor as the one to ask.
func (t *takeover) succeed() {
	io.Copy(io.Discard, t.before)
	t.before.Close()
	t.serve(t.listenAgain())
}

// listenAgain makes the second pipe this listener's, and tries until it can: on
// Linux a full file system may have no room yet when the predecessor's pipe has
// only just gone. It returns nil after close.
func (t *takeover) listenAgain() *Listener {
	lc := t.lc
	lc.NameTakenTimeout = handOverTime
	for pause := againPause; t.ctx.Err() == nil; pause = min(2*pause, againPauseMost) {
		asks, err := lc.Listen(t.ctx, t.name)
		if err == nil {
			t.mu.Lock()
			t.asks = asks
			closed := t.closed
			t.mu.Unlock()
			if closed {
				asks.Close()
				return nil
			}
			return asks
		}
		if pause == againPause && t.ctx.Err() == nil {
			t.lc.log().Error("namedpipe: no other process can take the name over, trying again", "pipe", t.l.addr.path, "error", err)
		}
		select {
		case <-time.After(pause):
		case <-t.ctx.Done():
		}
	}
	return nil
}

// serve offers the name to one successor after the other, until one takes it or
// the listener is closed.
func (t *takeover) serve(asks *Listener) {
	for asks != nil {
		c, err := asks.AcceptPipe()
		if err != nil {
			asks.Close()
			asks = t.listenAgain() // its file has gone, if it isn't closed
			continue
		}
		taken := t.offer(c, asks)
		c.Close()
		if taken {
			return
		}
	}
}

func (t *takeover) offer(c *Conn, asks *Listener) (taken bool) {
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return false
	}
	t.offering = c
	t.mu.Unlock()
	b := make([]byte, 1)
	err := t.l.l.send(c)
	if err == nil {
		_, err = io.ReadFull(c, b)
	}
	t.mu.Lock()
	t.offering = nil
	closed := t.closed
	t.mu.Unlock()
	if err != nil || b[0] != takes || closed {
		return false
	}
	c.SetDeadline(time.Now().Add(handOverTime))
	t.l.l.retire(c)
	asks.Close() // before the connection, whose end tells the successor that the second pipe is free
	t.lc.log().Info("namedpipe: another process has taken the name over", "pipe", t.l.addr.path)
	return true
}

// An unused is what a connection tells its listener at its first use.
type unused struct {
	t    *takeover
	once sync.Once
}

func (t *takeover) newUnused() *unused {
	t.accepted.Store(time.Now().UnixNano())
	t.unused.Add(1)
	return &unused{t: t}
}

// end notes that the connection is used.
func (u *unused) end() {
	if u != nil {
		u.once.Do(func() { u.t.unused.Add(-1); u.t.signal() })
	}
}

func (t *takeover) signal() {
	select {
	case t.used <- struct{}{}:
	default:
	}
}

// settle waits until each connection that Accept has returned is used, since
// grpc's server drops one whose goroutine first runs after GracefulStop, and then
// for settleTime after the last. It ends with close.
func (t *takeover) settle() {
	timer := time.NewTimer(handOverTime)
	defer timer.Stop()
	for waiting := true; waiting && t.unused.Load() > 0; {
		select {
		case <-t.used:
		case <-timer.C:
			waiting = false
		case <-t.ctx.Done():
			return
		}
	}
	t.signal() // for other calls of Accept
	timer.Reset(time.Until(time.Unix(0, t.accepted.Load()).Add(settleTime)))
	select {
	case <-timer.C:
	case <-t.ctx.Done():
	}
}

// close ends the listener's part. A successor that has the offer can still begin.
func (t *takeover) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return
	}
	t.closed = true
	t.cancel()
	if t.asks != nil {
		t.asks.Close()
	}
	if t.offering != nil {
		t.l.l.leave()
		t.offering.Close()
	}
	if t.before != nil && !t.begun.Load() {
		t.before.Close()
	}
}
