package grpcpipe

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/target"
)

// maxConnections guards against typing errors. With Kestrel's 100 calls on each,
// that many connections carry ten thousand calls.
const maxConnections = 100

// WithConnections makes NewClient open n connections to each pipe of the target,
// from 1 to 100, and send each call on the one with the fewest calls under way.
// The default is one connection. It is for servers that limit the calls under way
// on one connection, as Kestrel does to 100: further calls wait until one ends.
//
// It works through a load balancing policy. If the caller's service config names
// another policy, or none, the option has no effect: see [LeastBusy]. For a target
// that is not a pipe it has no effect either.
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

// fanOut returns an address for each connection to the pipe: one without
// WithConnections.
func (r *pipeResolver) fanOut(addr resolver.Address) []resolver.Address {
	if r.conns == 0 || addr.Addr == target.NoPipe {
		return []resolver.Address{addr}
	}
	for len(r.slots[addr.Addr]) < r.conns {
		r.slots[addr.Addr] = append(r.slots[addr.Addr], newSlot(addr.Addr))
	}
	addrs := make([]resolver.Address, r.conns)
	for i, s := range r.slots[addr.Addr] {
		addrs[i] = addr
		// The attributes alone don't do: grpc's map of addresses skips entries of
		// one name when some are deleted in a loop over all, as its base balancer
		// does (1.85.0).
		addrs[i].Addr += "#" + strconv.Itoa(i+1)
		addrs[i].Attributes = addr.Attributes.WithValue(slotKey{}, s)
	}
	return addrs
}

// pathOf returns the path in an address made by fanOut.
func (ch *channel) pathOf(addr string) string {
	if ch.conns == 0 || addr == target.NoPipe {
		return addr
	}
	return addr[:strings.LastIndexByte(addr, '#')]
}
