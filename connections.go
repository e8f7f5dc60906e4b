package grpcpipe

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/base"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/target"
)

// LeastBusy is the name of the load balancing policy that WithConnections
// brings: each call goes to the connection with the fewest calls under way. A
// program that gives a service config of its own names it there:
//
//	{"loadBalancingConfig":[{"npipe_least_busy":{}}]}
const LeastBusy = "npipe_least_busy"

// maxConnections keeps a slip from opening pipes without end: with Kestrel's
// 100 calls on each they carry ten thousand calls.
const maxConnections = 100

// WithConnections makes NewClient open n connections to each pipe of the
// target, where one is the default, and put each call on the one with the
// fewest calls under way. It is for servers that allow few calls at a time on
// one connection, as Kestrel does with 100: further calls wait until one ends.
// From 1 to 100 are possible.
//
// It works through a load balancing policy, so a service config of the caller
// that names none, or another, puts it aside: see [LeastBusy]. For a target
// that is no pipe it does nothing.
func WithConnections(n int) grpc.DialOption { return connectionsOption{n: n} }

// A connectionsOption is a note to NewClient; grpc does nothing with it.
type connectionsOption struct {
	grpc.EmptyDialOption
	n int
}

// wantedConnections returns the number in the last WithConnections, 0 without
// one.
func wantedConnections(opts []grpc.DialOption) (int, error) {
	n := 0
	for _, opt := range opts {
		if c, ok := opt.(connectionsOption); ok {
			if c.n < 1 || c.n > maxConnections {
				return 0, fmt.Errorf("grpcpipe: WithConnections(%d): it must be from 1 to %d: %w", c.n, maxConnections, fs.ErrInvalid)
			}
			n = c.n
		}
	}
	return n, nil
}

// A slot is the place of one connection. It outlives the connections that take
// it one after the other.
type slot struct {
	busy atomic.Int64 // calls under way
	done func(balancer.DoneInfo)
}

func newSlot() *slot {
	s := new(slot)
	s.done = func(balancer.DoneInfo) { s.busy.Add(-1) }
	return s
}

// slotKey is the key of the slot in an address's attributes.
type slotKey struct{}

// fanOut returns one address for each connection to the pipe, which are
// several only with WithConnections.
func (r *pipeResolver) fanOut(addr resolver.Address) []resolver.Address {
	n := r.conns
	if n == 0 || addr.Addr == target.NoPipe {
		return []resolver.Address{addr}
	}
	for len(r.slots[addr.Addr]) < n {
		r.slots[addr.Addr] = append(r.slots[addr.Addr], newSlot())
	}
	addrs := make([]resolver.Address, n)
	for i, s := range r.slots[addr.Addr] {
		addrs[i] = addr
		// Attributes alone would tell the addresses apart too, were it not that
		// grpc's map of addresses skips entries of one name when some are
		// deleted in a loop over all, as its base balancer does (1.85.0).
		addrs[i].Addr += "#" + strconv.Itoa(i+1)
		addrs[i].Attributes = addr.Attributes.WithValue(slotKey{}, s)
	}
	return addrs
}

// pathOf is the path in an address made by fanOut.
func (b *builder) pathOf(addr string) string {
	if b.conns > 0 {
		addr = addr[:strings.LastIndexByte(addr, '#')]
	}
	return addr
}

func init() { balancer.Register(leastBusyPolicy{}) }

// leastBusyPolicy makes grpc's base balancer with our picker.
type leastBusyPolicy struct{}

func (leastBusyPolicy) Name() string { return LeastBusy }

func (leastBusyPolicy) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	g := &group{ClientConn: cc}
	return base.NewBalancerBuilder(LeastBusy, g, base.Config{HealthCheck: true}).Build(g, opts)
}

// A group is what one channel's connections have in common. Calls that were
// there before the first connection wait until none of the others is on its way
// any more: a call that is given to a connection stays there, and waits there
// for a stream if it must, whatever room the next connection brings.
type group struct {
	balancer.ClientConn
	coming  atomic.Int64  // connections on their way
	ready   atomic.Uint64 // counts those that have become ready
	settled atomic.Bool   // calls need not wait for them
}

// NewSubConn follows the state of each connection.
func (g *group) NewSubConn(addrs []resolver.Address, opts balancer.NewSubConnOptions) (balancer.SubConn, error) {
	tell := opts.StateListener
	coming := true
	g.coming.Add(1)
	opts.StateListener = func(s balancer.SubConnState) {
		now := s.ConnectivityState == connectivity.Idle || s.ConnectivityState == connectivity.Connecting
		if now != coming {
			coming = now
			if now {
				g.coming.Add(1)
			} else {
				if s.ConnectivityState == connectivity.Ready {
					g.ready.Add(1) // the pickers there are don't know it
				}
				g.coming.Add(-1)
			}
		}
		tell(s) // which has grpc ask the picker again
	}
	sc, err := g.ClientConn.NewSubConn(addrs, opts) //lint:ignore SA1019 the base balancer calls it, and there is no other way to wrap it
	if err != nil {
		g.coming.Add(-1)
	}
	return sc, err
}

// Build makes the picker for the connections that are ready.
func (g *group) Build(info base.PickerBuildInfo) balancer.Picker {
	if len(info.ReadySCs) == 0 {
		g.settled.Store(false)
		return base.NewErrPicker(balancer.ErrNoSubConnAvailable)
	}
	p := &leastBusyPicker{group: g, knows: g.ready.Load()}
	for sc, at := range info.ReadySCs {
		s, ok := at.Address.Attributes.Value(slotKey{}).(*slot)
		if !ok { // the policy was asked for by name, without WithConnections
			s = newSlot()
		}
		p.ready = append(p.ready, readyConn{sc, s})
	}
	return p
}

type readyConn struct {
	sc   balancer.SubConn
	slot *slot
}

type leastBusyPicker struct {
	group *group
	knows uint64 // group.ready when it was made
	ready []readyConn
	next  atomic.Uint64
}

// Pick looks at all connections, each time from another one on, so that equals
// take turns.
func (p *leastBusyPicker) Pick(balancer.PickInfo) (balancer.PickResult, error) {
	if !p.group.settled.Load() {
		// In this order: coming falls after ready has risen, and a picker that
		// doesn't know the last connection would put all calls on the others.
		if p.group.coming.Load() > 0 || p.group.ready.Load() != p.knows {
			return balancer.PickResult{}, balancer.ErrNoSubConnAvailable
		}
		p.group.settled.Store(true)
	}
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
