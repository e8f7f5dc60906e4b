package grpcpipe

import (
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"
)

// LeastBusy is the name of the load balancing policy of [WithConnections]: each
// call goes to the connection with the fewest calls under way. A program with a
// service config of its own selects it there:
//
//	{"loadBalancingConfig":[{"npipe_least_busy":{}}]}
const LeastBusy = "npipe_least_busy"

// settleTime bounds the wait for the rest of a pipe's connections when the first
// is ready. It takes milliseconds unless the server has no room for all.
const settleTime = 250 * time.Millisecond

func init() { balancer.Register(leastBusyPolicy{}) }

// leastBusyPolicy makes grpc's base balancer with our picker.
type leastBusyPolicy struct{}

func (leastBusyPolicy) Name() string { return LeastBusy }

func (leastBusyPolicy) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	g := &group{ClientConn: cc, pipes: map[string]*progress{}}
	return base.NewBalancerBuilder(LeastBusy, pickerBuilder{}, base.Config{HealthCheck: true}).Build(g, opts)
}

// A slot is the place of one connection. It outlives the connections that take
// it one after the other.
type slot struct {
	path string       // of the pipe
	busy atomic.Int64 // calls under way
	done func(balancer.DoneInfo)
}

func newSlot(path string) *slot {
	s := &slot{path: path}
	s.done = func(balancer.DoneInfo) { s.busy.Add(-1) }
	return s
}

// slotKey is the key of the slot in an address's attributes.
type slotKey struct{}

// slotOf returns an address's slot, a new one if the policy was chosen by name,
// without WithConnections.
func slotOf(addr resolver.Address) *slot {
	if s, ok := addr.Attributes.Value(slotKey{}).(*slot); ok {
		return s
	}
	return newSlot(addr.Addr)
}

// A group is all connections of one channel. It keeps the first calls back until
// the other connections to a pipe that was reached are ready or have failed, for
// settleTime at most: a call that is given to a connection stays there, and waits
// there for a stream if it must, whatever room the next connection brings. Nobody
// waits for a pipe that was not reached: its server may never answer.
type group struct {
	balancer.ClientConn

	mu      sync.Mutex
	pipes   map[string]*progress
	settled bool           // since a connection is ready and calls go through
	state   balancer.State // of the balancer
	timer   *time.Timer    // ends the wait; nil if there is none
}

// progress counts the connections to one pipe.
type progress struct{ coming, ready int }

// NewSubConn follows the state of each connection.
func (g *group) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	path, was, tell := slotOf(addrs[0]).path, connectivity.Idle, opts.StateListener
	g.count(path, was, 1)
	opts.StateListener = func(s balancer.SubConnState) {
		now := s.ConnectivityState
		// One that has failed is nothing to wait for until it succeeds, as in the
		// base balancer.
		if was != connectivity.TransientFailure || now != connectivity.Idle && now != connectivity.Connecting {
			g.count(path, was, -1)
			g.count(path, now, 1)
			was = now
		}
		tell(s) // which ends in UpdateState
	}
	sc, err := g.ClientConn.NewSubConn(addrs, opts) //lint:ignore SA1019 the base balancer calls it, and there is no other way to wrap it
	if err != nil {
		g.count(path, was, -1)
	}
	return sc, err
}

func (g *group) count(path string, state connectivity.State, n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p := g.pipes[path]
	if p == nil {
		p = &progress{}
		g.pipes[path] = p
	}
	switch state {
	case connectivity.Idle, connectivity.Connecting:
		p.coming += n
	case connectivity.Ready:
		p.ready += n
	}
	if *p == (progress{}) {
		delete(g.pipes, path)
	}
}

// UpdateState passes on the balancer's state and picker, or that of a channel
// that is still connecting.
func (g *group) UpdateState(s balancer.State) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state = s
	switch {
	case s.ConnectivityState != connectivity.Ready:
		g.settle(false)
	case g.settled:
	case !g.moreToCome():
		g.settle(true)
	default:
		if g.timer == nil {
			g.timer = time.AfterFunc(settleTime, g.waitedEnough)
		}
		s = balancer.State{ConnectivityState: connectivity.Connecting, Picker: base.NewErrPicker(balancer.ErrNoSubConnAvailable)}
	}
	g.ClientConn.UpdateState(s)
}

// moreToCome reports whether a pipe that was reached has connections on their
// way.
func (g *group) moreToCome() bool {
	for _, p := range g.pipes {
		if p.ready > 0 && p.coming > 0 {
			return true
		}
	}
	return false
}

func (g *group) settle(settled bool) {
	g.settled = settled
	if g.timer != nil {
		g.timer.Stop()
		g.timer = nil
	}
}

func (g *group) waitedEnough() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.timer != nil && g.state.ConnectivityState == connectivity.Ready {
		g.settle(true)
		g.ClientConn.UpdateState(g.state)
	}
}

// pickerBuilder makes the picker for the connections that are ready.
type pickerBuilder struct{}

func (pickerBuilder) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	p := &leastBusyPicker{}
	for sc, at := range info.ReadySCs {
		p.ready = append(p.ready, readyConn{sc, slotOf(at.Address)})
	}
	return p
}

type readyConn struct {
	sc   balancer.SubConn
	slot *slot
}

type leastBusyPicker struct {
	ready []readyConn
	next  atomic.Uint64
}

// Pick looks at all connections, each time from another one on, so that equals
// take turns.
func (p *leastBusyPicker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	first := p.next.Add(1)
	for {
		var best readyConn
		var fewest int64
		for i := range uint64(len(p.ready)) {
			c := p.ready[(first+i)%uint64(len(p.ready))]
			if busy := c.slot.busy.Load(); best.sc == nil || busy < fewest {
				best, fewest = c, busy
			}
		}
		// Another call may have taken the same place since it was looked at.
		if best.slot.busy.CompareAndSwap(fewest, fewest+1) {
			return balancer.PickResult{SubConn: best.sc, Done: best.slot.done}, nil
		}
	}
}
