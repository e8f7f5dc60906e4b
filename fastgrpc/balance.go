package fastgrpc

import (
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/connectivity"
)

// spread reports whether all endpoints are connected to.
func (cc *ClientConn) spread() bool { return cc.cfg.RoundRobin || cc.cfg.Connections > 0 }

// The functions below are what happens to endpoints. cc.mu is held.

// connectAll begins to connect to the endpoints: to all, or to one after the
// other until one answers.
func (cc *ClientConn) connectAll() {
	if !cc.spread() {
		cc.next = 0
		cc.tryNext()
		return
	}
	for _, e := range cc.endpoints {
		e.connect()
	}
}

// tryNext begins to connect to the next endpoint, and to the one behind it if
// this one lets us wait.
func (cc *ClientConn) tryNext() {
	cc.stopPause()
	if cc.next >= len(cc.endpoints) {
		return
	}
	cc.endpoints[cc.next].connect()
	if cc.next++; cc.next < len(cc.endpoints) {
		var timer *time.Timer
		timer = time.AfterFunc(nextAfter, func() {
			cc.mu.Lock()
			defer cc.mu.Unlock()
			if cc.pause == timer {
				cc.tryNext()
			}
		})
		cc.pause = timer
	}
}

// won says that an endpoint is connected.
func (cc *ClientConn) won(e *endpoint) {
	if cc.spread() {
		cc.count()
		return
	}
	cc.stopPause()
	for _, other := range cc.endpoints {
		if other != e {
			other.drop()
		}
	}
	cc.ready.Store(e.link)
	cc.setState(connectivity.Ready, nil)
}

// failure says that an attempt has failed.
func (cc *ClientConn) failure(e *endpoint) {
	switch {
	case cc.spread():
		cc.count()
		return
	case cc.next < len(cc.endpoints):
		cc.tryNext()
		return
	case slices.ContainsFunc(cc.endpoints, func(e *endpoint) bool { return !e.failed }):
		return // it may still answer
	}
	cc.setState(connectivity.TransientFailure, e.err)
}

// lost says that an endpoint's connection takes no more calls.
func (cc *ClientConn) lost(e *endpoint) {
	if cc.spread() {
		e.connect()
		cc.count()
		return
	}
	cc.ready.Store(nil)
	cc.setState(connectivity.Idle, nil)
}

// rearranged says that there are other endpoints than before.
func (cc *ClientConn) rearranged() {
	if cc.spread() {
		cc.connectAll()
		cc.count()
		return
	}
	if l := cc.ready.Load(); l != nil && slices.Contains(cc.endpoints, l.place) {
		return
	}
	cc.ready.Store(nil)
	if cc.state == connectivity.Ready {
		cc.setState(connectivity.Connecting, nil)
	}
	cc.connectAll()
}

// count sets the state of a client that spreads its calls, as grpc-go does, and
// which connections they may take.
func (cc *ClientConn) count() {
	if cc.closed {
		return
	}
	p := &picker{}
	var err error
	if !cc.cfg.RoundRobin {
		p.least = true
	}
	state := connectivity.TransientFailure
	for _, e := range cc.endpoints {
		switch e.state() {
		case connectivity.Ready:
			p.links = append(p.links, e.link)
		case connectivity.TransientFailure:
			err = e.err
		default:
			state = connectivity.Connecting
		}
	}
	if len(p.links) > 0 && !cc.mayGo() {
		state, p.links = connectivity.Connecting, nil
	}
	if len(p.links) == 0 {
		cc.picker.Store(nil)
		if state == connectivity.Connecting {
			err = nil
		}
	} else {
		state, err = connectivity.Ready, nil
		cc.picker.Store(p)
	}
	cc.setState(state, err)
}

// mayGo reports whether calls may go while connections are still on their way:
// those that are there first would fill the first connection, and wait there
// whatever room the next one brings. Nobody waits for a pipe that was not
// reached: its server may never answer.
func (cc *ClientConn) mayGo() bool {
	if cc.settled || cc.cfg.Connections < 2 {
		return true
	}
	coming := slices.ContainsFunc(cc.endpoints, func(e *endpoint) bool {
		return e.link == nil && !e.failed && slices.ContainsFunc(cc.endpoints, func(o *endpoint) bool { return o.path == e.path && o.link != nil })
	})
	if !coming {
		cc.settled = true
		cc.stopPause()
		return true
	}
	if cc.pause == nil {
		cc.pause = time.AfterFunc(settleTime, func() {
			cc.mu.Lock()
			defer cc.mu.Unlock()
			if cc.pause != nil {
				cc.pause, cc.settled = nil, true
				cc.count()
			}
		})
	}
	return false
}

// A picker spreads calls over connections that are ready.
type picker struct {
	links []*clientLink
	least bool // busy
	next  atomic.Uint64
}

// pick returns the connection for a call: the next, or the least busy, where
// equals take turns.
func (p *picker) pick() *clientLink {
	n := uint64(len(p.links))
	first := p.next.Add(1)
	if !p.least {
		return p.links[first%n]
	}
	for {
		best := p.links[first%n]
		fewest := best.place.busy.Load()
		for i := uint64(1); i < n && fewest > 0; i++ {
			l := p.links[(first+i)%n]
			if busy := l.place.busy.Load(); busy < fewest {
				best, fewest = l, busy
			}
		}
		// Another call may have taken the same place since it was looked at.
		if best.place.busy.CompareAndSwap(fewest, fewest+1) {
			return best
		}
	}
}

// release says that a call that was given the connection has ended there.
func (l *clientLink) release() {
	if l.cc.cfg.Connections > 0 && !l.cc.cfg.RoundRobin {
		l.place.busy.Add(-1)
	}
}
