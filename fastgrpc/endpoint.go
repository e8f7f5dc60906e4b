package fastgrpc

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

const (
	firstDelay = 50 * time.Millisecond // after a failed attempt
	mostDelay  = 2 * time.Second
	// nextAfter is when pick first also tries the next pipe, while the one before
	// says nothing. grpc-go's is the same.
	nextAfter = 250 * time.Millisecond
	// settleTime bounds the wait for the rest of a pipe's connections when the
	// first is ready, as in the root package.
	settleTime = 250 * time.Millisecond
)

// An endpoint is the place of one connection: a pipe, or one of several
// connections to it. Its fields are guarded by cc.mu.
type endpoint struct {
	cc      *ClientConn
	path    string
	returns uint64 // follow.Pipe's

	link   *clientLink        // ready
	coming *clientLink        // waits for the server's settings
	trying context.CancelFunc // of the attempt under way, or nil
	wait   *time.Timer        // before the next attempt, or nil
	delay  time.Duration
	failed bool // since it was last ready
	err    error

	busy atomic.Int64 // calls under way; if they are counted
}

// state is the endpoint's as grpc-go sees it: one that has failed stays so until
// it is ready.
func (e *endpoint) state() connectivity.State {
	switch {
	case e.link != nil:
		return connectivity.Ready
	case e.failed:
		return connectivity.TransientFailure
	case e.trying != nil:
		return connectivity.Connecting
	}
	return connectivity.Idle
}

// connect begins an attempt, unless there is one, or a pause before it.
func (e *endpoint) connect() {
	if e.link != nil || e.trying != nil || e.wait != nil || e.cc.closed {
		return
	}
	ctx, cancel := context.WithTimeout(e.cc.closing, e.cc.cfg.ConnectTimeout)
	e.trying = cancel
	early := len(e.cc.endpoints) == 1 && !e.cc.spread()
	e.cc.routine.Go(func() {
		defer cancel()
		l, err := e.cc.open(ctx, e)
		if err == nil {
			err = l.settle(ctx, early)
		}
		e.tried(ctx, l, err)
	})
}

// ready makes the connection that is coming the endpoint's.
func (e *endpoint) ready() {
	if e.cc.early == e.coming {
		e.cc.early = nil
	}
	e.link, e.coming, e.trying = e.coming, nil, nil
	e.delay, e.failed, e.err = 0, false, nil
	e.link.promoted = true
	e.cc.won(e)
}

// tried takes note of how an attempt has ended.
func (e *endpoint) tried(ctx context.Context, l *clientLink, err error) {
	cc := e.cc
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if context.Cause(ctx) == context.Canceled { // nobody wants it any more
		if l != nil {
			cc.routine.Go(l.h2.Close)
		}
		return
	}
	if l != nil && l.promoted {
		return
	}
	e.trying, e.coming = nil, nil
	if err == nil { // it has gone before it was ready
		e.delay, e.failed = 0, false
		cc.lost(e)
		return
	}
	e.failed, e.err = true, err
	e.delay = min(max(e.delay*8/5, firstDelay), mostDelay)
	e.wait = time.AfterFunc(time.Duration(float64(e.delay)*(0.8+0.4*rand.Float64())), func() {
		cc.mu.Lock()
		defer cc.mu.Unlock()
		if e.wait != nil {
			e.wait = nil
			e.connect()
		}
	})
	cc.follow()
	cc.failure(e)
}

// hurry ends the pause before the next attempt.
func (e *endpoint) hurry() {
	e.delay = 0
	if e.wait != nil {
		e.wait.Stop()
		e.wait = nil
		e.connect()
	}
}

// drop gives up the endpoint's connection, whose calls go on to their end, and
// its attempts.
func (e *endpoint) drop() {
	if e.trying != nil {
		e.trying()
		e.trying, e.coming = nil, nil
	}
	if e.wait != nil {
		e.wait.Stop()
		e.wait = nil
	}
	if l := e.link; l != nil {
		e.link = nil
		l.h2.Drain("")
	}
	e.delay, e.failed, e.err = 0, false, nil
}

// start begins to connect. cc.mu is held, and the client is idle.
func (cc *ClientConn) start() {
	if cc.closed {
		return
	}
	cc.watchIdle()
	if len(cc.endpoints) == 0 {
		if cc.target.Pattern == "" {
			var pipes []follow.Pipe
			for _, path := range cc.places() {
				pipes = append(pipes, follow.Pipe{Path: path})
			}
			cc.arrange(pipes)
		} else {
			cc.follow()
		}
	}
	cc.setState(connectivity.Connecting, nil)
	cc.connectAll()
}

// follow begins to look for pipes: those of a pattern, and those that are
// missing. A client that is connected to all that it wants has no goroutine for
// that.
func (cc *ClientConn) follow() {
	if cc.following != nil || cc.closed || cc.pipes == nil {
		return
	}
	ctx, cancel := context.WithCancel(cc.closing)
	before, done := cc.followed, make(chan struct{})
	cc.following, cc.followed = cancel, done
	cc.routine.Go(func() {
		defer close(done)
		if before != nil {
			<-before
		}
		cc.pipes.Run(ctx, func(pipes []follow.Pipe) {
			cc.mu.Lock()
			defer cc.mu.Unlock()
			if ctx.Err() == nil {
				cc.arrange(pipes)
			}
		})
	})
}

// arrange makes the endpoints those of the pipes, keeping what there is. cc.mu is
// held.
func (cc *ClientConn) arrange(pipes []follow.Pipe) {
	if len(pipes) == 0 {
		pipes = []follow.Pipe{{Path: target.NoPipe}} // dialing this says why
	}
	old := cc.endpoints
	cc.endpoints = nil
	for _, p := range pipes {
		n := max(cc.cfg.Connections, 1)
		if p.Path == target.NoPipe {
			n = 1
		}
		for range n {
			i := slices.IndexFunc(old, func(e *endpoint) bool { return e.path == p.Path })
			if i < 0 {
				cc.endpoints = append(cc.endpoints, &endpoint{cc: cc, path: p.Path, returns: p.Returns})
				continue
			}
			cc.endpoints = append(cc.endpoints, old[i])
			old = slices.Delete(old, i, i+1)
		}
	}
	for _, e := range old {
		e.drop()
	}
	if cc.state != connectivity.Idle {
		cc.rearranged()
	}
	for _, e := range cc.endpoints {
		i := slices.IndexFunc(pipes, func(p follow.Pipe) bool { return p.Path == e.path })
		if back := e.returns != pipes[i].Returns; back {
			e.returns = pipes[i].Returns
			e.hurry()
		}
	}
}

// letGo gives up all endpoints. cc.mu is held.
func (cc *ClientConn) letGo() {
	if cc.following != nil {
		cc.following()
		cc.following = nil
	}
	cc.stopPause()
	cc.ready.Store(nil)
	cc.picker.Store(nil)
	for _, e := range cc.endpoints {
		e.drop()
	}
	cc.endpoints, cc.settled, cc.early = nil, false, nil
	cc.idle.stop()
}

func (cc *ClientConn) stopPause() {
	if cc.pause != nil {
		cc.pause.Stop()
		cc.pause = nil
	}
}
