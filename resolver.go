package grpcpipe

import (
	"context"
	"net"
	"slices"

	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A builder makes the resolvers of one channel, one after the other, for grpc
// closes the resolver when the channel becomes idle. It also has the channel's
// dialer.
type builder struct {
	target target.Target
	conns  int // to each pipe; 0 is one, in grpc's own way
	pipes  *follow.Follower
}

func newBuilder(t target.Target, conns int, list follow.Lister) *builder {
	return &builder{target: t, conns: conns, pipes: follow.New(t, list)}
}

var _ resolver.AuthorityOverrider = (*builder)(nil)

// OverrideAuthority makes localhost the :authority, which is what .NET sends.
// Kestrel resets every call whose authority it can't read as a host, which no
// pipe's path is.
func (*builder) OverrideAuthority(resolver.Target) string { return "localhost" }

func (*builder) Scheme() string { return target.Scheme }

// Build has no use for grpc's idea of the target: the builder has its own.
func (b *builder) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	ctx, cancel := context.WithCancel(context.Background())
	r := &pipeResolver{builder: b, cc: cc, stop: cancel, done: make(chan struct{}), slots: map[string][]*slot{}}
	go func() {
		defer close(r.done)
		b.pipes.Run(ctx, r.publish)
	}()
	return r, nil
}

// dial opens the pipe with the zero dialer.
func (b *builder) dial(ctx context.Context, addr string) (net.Conn, error) {
	return b.dialWith(ctx, addr, &namedpipe.Dialer{})
}

func (b *builder) dialWith(ctx context.Context, addr string, d *namedpipe.Dialer) (net.Conn, error) {
	c, err := b.pipes.Dial(ctx, b.pathOf(addr), d)
	if err != nil {
		return nil, err
	}
	return creds.NewClientConn(ctx, c, b.target.TLS, !d.Server.Anyone), nil
}

// A pipeResolver tells grpc which pipes there are, and cuts grpc's back-off short
// when one that was missing is there again.
//
// It does that by giving the pipe's address another number, which makes grpc
// take it for a new address and dial it with a fresh back-off. There is a method
// for this purpose, (*grpc.ClientConn).ResetConnectBackoff, but it walks a map
// of connections without holding its lock: called by itself, at any moment, it
// would end the process now and then with "concurrent map iteration and map
// write" (grpc 1.85.0, clientconn.go; the race detector sees it within seconds).
type pipeResolver struct {
	*builder
	cc    resolver.ClientConn
	stop  context.CancelFunc
	done  chan struct{}      // closed when nothing is followed any more
	slots map[string][]*slot // the connections of each path; publish's
}

// returnsKey is the key of a pipe's Returns in its address's attributes.
type returnsKey struct{}

// ResolveNow does nothing: what there is to know is looked at all the time.
func (*pipeResolver) ResolveNow(resolver.ResolveNowOptions) {}

func (r *pipeResolver) Close() {
	r.stop()
	<-r.done
}

// publish tells grpc the addresses.
func (r *pipeResolver) publish(pipes []follow.Pipe) {
	if len(pipes) == 0 {
		// Dialing this fails with the reason. An empty list would do for grpc, but
		// then each load balancing policy has words of its own, round_robin's being
		// "no children to pick from".
		pipes = []follow.Pipe{{Path: target.NoPipe}}
	}
	var addrs []resolver.Address
	for _, p := range pipes {
		addr := resolver.Address{Addr: p.Path}
		addr.Attributes = addr.Attributes.WithValue(builderKey{}, r.builder)
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
	// An error means that the channel's policy can't use the list. There is
	// nothing to do here that isn't done anyway.
	_ = r.cc.UpdateState(resolver.State{Addresses: addrs})
}
