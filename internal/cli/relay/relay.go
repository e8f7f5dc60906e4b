// Package relay carries bytes between connections of any two kinds.
package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	bufferSize = 32 << 10
	// linger is how long a direction may go on without a byte when the other
	// has ended and that can't be passed on.
	linger = time.Second
	// acceptPause keeps a listener that fails from being asked again at once.
	acceptPause = 50 * time.Millisecond
)

// A Relay accepts connections and connects each to one of its own. The fields
// must be set before Run and not be changed.
type Relay struct {
	Listener net.Listener
	// Dial makes the other connection. It bounds its own time.
	Dial func(context.Context) (net.Conn, error)
	// Drain is what connections get to end by themselves when Run is to stop.
	Drain time.Duration
	// Once ends Run with its first connection.
	Once bool
	// Log is told what happens to connection n.
	Log func(n int, text string)
	// Watch, if not nil, sees the bytes of connection n; both writers are
	// closed at its end. It must not keep a Write waiting for long.
	Watch func(n int) (there, back io.WriteCloser)

	mu     sync.Mutex
	open   map[net.Conn]bool
	closed bool
}

// Totals are what a Relay has carried.
type Totals struct {
	Connections   int
	There, Back   int64 // bytes from the accepted connections, and to them
	NotConnected  int   // connections for which Dial failed
	CutAtShutdown int
}

// Run relays until ctx ends or the listener does. It has ended all connections
// when it returns. The error is the one of Dial with Once, else the listener's.
func (r *Relay) Run(ctx context.Context) (Totals, error) {
	r.open = map[net.Conn]bool{}
	accepting, stopAccepting := context.WithCancel(ctx)
	closed := make(chan struct{})
	context.AfterFunc(accepting, func() {
		defer close(closed)
		r.Listener.Close()
	})
	// Accept fails as soon as the closing begins; whoever dials once Run has
	// returned must find nobody.
	defer func() { stopAccepting(); <-closed }()
	var t Totals
	var wg sync.WaitGroup
	var there, back atomic.Int64
	var missed atomic.Int32
	var failed, err error
	for n := 1; ; n++ {
		var c net.Conn
		c, err = r.Listener.Accept()
		if err != nil {
			if accepting.Err() != nil || errors.Is(err, net.ErrClosed) {
				break
			}
			r.Log(n, "could not be accepted: "+err.Error())
			if !pause(ctx, acceptPause) {
				break
			}
			n--
			continue
		}
		t.Connections++
		if r.Once {
			r.Listener.Close()
		}
		wg.Go(func() {
			// Its dial must not go on after the end, its data may.
			a, b, err := r.serve(ctx, n, c)
			there.Add(a)
			back.Add(b)
			if err != nil {
				missed.Add(1)
				if r.Once {
					failed = err // by the only connection
				}
			}
		})
		if r.Once {
			break
		}
	}
	t.CutAtShutdown = r.wait(ctx, &wg)
	t.There, t.Back, t.NotConnected = there.Load(), back.Load(), int(missed.Load())
	if r.Once {
		return t, failed
	}
	if ctx.Err() != nil {
		return t, nil
	}
	return t, err
}

// wait waits for the connections, once ctx has ended no longer than Drain, and
// returns how many had to be cut.
func (r *Relay) wait(ctx context.Context, wg *sync.WaitGroup) (cut int) {
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		return 0
	case <-ctx.Done():
	}
	late := time.NewTimer(r.Drain)
	defer late.Stop()
	select {
	case <-done:
		return 0
	case <-late.C:
	}
	r.mu.Lock()
	r.closed = true
	cut = len(r.open)
	for c := range r.open {
		c.Close() // it may have ended meanwhile
	}
	r.mu.Unlock()
	<-done
	return (cut + 1) / 2 // both ends of each were open
}

// keep notes an open connection, so that it can be cut.
func (r *Relay) keep(c net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		c.Close()
		return
	}
	r.open[c] = true
}

func (r *Relay) forget(c net.Conn) {
	c.Close() // it may have been closed
	r.mu.Lock()
	delete(r.open, c)
	r.mu.Unlock()
}

// serve makes the other connection and carries the bytes.
func (r *Relay) serve(ctx context.Context, n int, from net.Conn) (there, back int64, err error) {
	r.keep(from)
	defer r.forget(from)
	to, err := r.Dial(ctx)
	if err != nil {
		r.Log(n, err.Error())
		return 0, 0, err
	}
	r.keep(to)
	defer r.forget(to)
	var seeThere, seeBack io.WriteCloser
	if r.Watch != nil {
		seeThere, seeBack = r.Watch(n)
		defer seeThere.Close()
		defer seeBack.Close()
	}
	there, back = carry(from, to, seeThere, seeBack)
	return there, back, nil
}

// halfCloser is an end that can say that it sends no more and still be read.
type halfCloser interface{ CloseWrite() error }

func canHalfClose(c net.Conn) bool {
	_, ok := c.(halfCloser)
	return ok
}

// carry carries bytes both ways until both directions have ended, and closes
// both connections.
func carry(a, b net.Conn, seeThere, seeBack io.Writer) (there, back int64) {
	var busy activity
	busy.touch()
	var wg sync.WaitGroup
	thereOver, backOver := make(chan struct{}), make(chan struct{})
	wg.Go(func() { there = one(a, b, seeThere, &busy, thereOver, backOver) })
	wg.Go(func() { back = one(b, a, seeBack, &busy, backOver, thereOver) })
	wg.Wait()
	return there, back
}

// one carries bytes from one end to the other, then passes its end on as well as
// the ends can. over is closed when there is nothing more to carry; other is the
// other direction's.
func one(from, to net.Conn, see io.Writer, busy *activity, over chan<- struct{}, other <-chan struct{}) int64 {
	n, err := copyBytes(from, to, see, busy)
	close(over)
	switch {
	case err != nil:
		// An end has failed: what is left in the other direction has nobody to
		// go to, or comes from nobody.
		end(from, to)
	case canHalfClose(from) && canHalfClose(to):
		to.(halfCloser).CloseWrite() // if it fails, so will what follows
	case canHalfClose(from):
		// The end has said that it sends no more, which a pipe can't pass on.
		// The answer may still be under way; when it pauses, that was it.
		busy.waitIdle(linger, other)
		end(from, to)
	default:
		// The end of a pipe is the end of both directions.
		if half, ok := to.(halfCloser); ok {
			half.CloseWrite()
			busy.waitIdle(linger, other)
		}
		end(from, to)
	}
	return n
}

// end closes both connections, which ends both directions.
func end(from, to net.Conn) {
	from.Close()
	to.Close()
}

func copyBytes(from io.Reader, to io.Writer, see io.Writer, busy *activity) (int64, error) {
	buf := make([]byte, bufferSize)
	var total int64
	for {
		n, err := from.Read(buf)
		if n > 0 {
			busy.touch()
			if see != nil {
				see.Write(buf[:n]) // it is only looked at
			}
			w, werr := to.Write(buf[:n])
			total += int64(w)
			if werr != nil {
				return total, werr
			}
			busy.touch()
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

// activity is when a byte was last carried.
type activity struct{ at atomic.Int64 }

func (a *activity) touch() { a.at.Store(time.Now().UnixNano()) }

// waitIdle waits until nothing has been carried for d, or over is closed.
func (a *activity) waitIdle(d time.Duration, over <-chan struct{}) {
	for {
		left := d - time.Since(time.Unix(0, a.at.Load()))
		if left <= 0 {
			return
		}
		t := time.NewTimer(left)
		select {
		case <-over:
			t.Stop()
			return
		case <-t.C:
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
