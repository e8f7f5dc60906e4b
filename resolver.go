package grpcpipe

import (
	"context"
	"slices"

	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

// A channel is our part of one grpc.ClientConn over pipes. It opens the pipes,
// and makes the resolvers, one after the other, for grpc closes the resolver when
// the ClientConn becomes idle.
type channel struct {
	target target.Target
	conns  int // to each pipe; 0 is one, in grpc's own way
	pipes  *follow.Follower
}

func newChannel(t target.Target, conns int, list follow.Lister) *channel {
	return &channel{target: t, conns: conns, pipes: follow.New(t, list)}
}

var _ resolver.AuthorityOverrider = (*channel)(nil)

// OverrideAuthority makes localhost the :authority, which is what .NET sends.
// Kestrel resets every call whose authority it can't read as a host, which no
// pipe's path is.
func (*channel) OverrideAuthority(resolver.Target) string { return "localhost" }

func (*channel) Scheme() string { return target.Scheme }

// Build ignores grpc's target: the channel has its own.
func (ch *channel) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &pipeResolver{channel: ch, cc: cc, stop: cancel, done: make(chan struct{}), slots: map[string][]*slot{}}
	go func() {
		defer close(r.done)
		ch.pipes.Run(ctx, r.publish)
	}()
	return r, nil
}

// A pipeResolver tells grpc which pipes there are, and cuts grpc's back-off short
// when one that was missing is there again.
//
// It does that by giving the pipe's address another number, which makes grpc
// take it for a new address and dial it with a fresh back-off. There is a method
// for this purpose, (*grpc.ClientConn).ResetConnectBackoff, but it iterates over a
// map of connections without holding its lock and would end the process now and
// then with "concurrent map iteration and map write" (grpc 1.85.0, clientconn.go;
// the race detector sees it within seconds).
type pipeResolver struct {
	*channel
	cc    resolver.ClientConn
	stop  context.CancelFunc
	done  chan struct{}      // closed when nothing is followed any more
	slots map[string][]*slot // the connections of each path; publish's
}

// returnsKey is the key of a pipe's Returns in its address's attributes.
type returnsKey struct{}

// ResolveNow does nothing: the pipes are followed all the time.
func (*pipeResolver) ResolveNow(resolver.ResolveNowOptions) {}

func (r *pipeResolver) Close() {
	r.stop()
	<-r.done
}

// publish tells grpc the addresses.
func (r *pipeResolver) publish(pipes []follow.Pipe) {
	if len(pipes) == 0 {
		// Dialing this fails with the reason. With an empty list each load
		// balancing policy would have an error of its own, such as round_robin's
		// "no children to pick from".
		pipes = []follow.Pipe{{Path: target.NoPipe}}
	}
	var addrs []resolver.Address
	for _, p := range pipes {
		addr := resolver.Address{Addr: p.Path}
		addr.Attributes = addr.Attributes.WithValue(channelKey{}, r.channel)
		if p.Returns > 0 {
			addr.Attributes = addr.Attributes.WithValue(returnsKey{}, p.Returns)
		}
		addrs = append(addrs, r.fanOut(addr)...)
	}
	for path := range r.slots {
		if !slices.ContainsFunc(pipes, func(p follow.Pipe) bool { return p.Path == path }) {
			delete(r.slots, path)
		}
	}
	// An error means that the load balancing policy can't use the list, which
	// grpc tells the calls.
	_ = r.cc.UpdateState(resolver.State{Addresses: addrs})
}
