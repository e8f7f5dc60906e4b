package grpcpipe

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/internal/pipelist"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// listInterval is how often a pattern's pipes are listed: servers that come and
// go must be noticed within a second.
const listInterval = 250 * time.Millisecond

// A builder makes the resolvers of one channel, one after the other, for grpc
// closes the resolver when the channel becomes idle. It also has the channel's
// dialer.
type builder struct {
	target  target.Target
	conns   int // to each pipe; 0 is one, in grpc's own way
	list    pipelist.Lister
	missing *absences
	none    atomic.Pointer[error] // why there is no pipe for the pattern
}

func newBuilder(t target.Target, conns int, list pipelist.Lister) *builder {
	return &builder{target: t, conns: conns, list: list, missing: newAbsences()}
}

var _ resolver.AuthorityOverrider = (*builder)(nil)

// OverrideAuthority makes localhost the :authority, which is what .NET sends.
// Kestrel resets every call whose authority it can't read as a host, which no
// pipe's path is.
func (*builder) OverrideAuthority(resolver.Target) string { return "localhost" }

func (*builder) Scheme() string { return target.Scheme }

// Build has no use for grpc's idea of the target: the builder has its own.
func (b *builder) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	r := &pipeResolver{
		builder: b, cc: cc, paths: b.target.Paths,
		tries: map[string]uint64{},
		slots: map[string][]*slot{},
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	if b.target.Pattern == "" {
		r.publish()
	}
	go r.run()
	return r, nil
}

// dial opens the pipe with the zero dialer.
func (b *builder) dial(ctx context.Context, path string) (net.Conn, error) {
	return b.dialWith(ctx, path, &namedpipe.Dialer{})
}

// dialWith opens the pipe and notes whether it was missing.
func (b *builder) dialWith(ctx context.Context, path string, d *namedpipe.Dialer) (net.Conn, error) {
	if path == target.NoPipe {
		if why := b.none.Load(); why != nil {
			return nil, *why
		}
		return nil, b.nothingFits()
	}
	path = b.pathOf(path)
	done := b.missing.dialing(path)
	c, err := d.Dial(ctx, path)
	done(err)
	if err != nil {
		return nil, err
	}
	return creds.NewClientConn(ctx, c, b.target.TLS, !d.Server.Anyone), nil
}

func (b *builder) nothingFits() error {
	return fmt.Errorf("no pipe fits npipe:%s: start a server, or check the pattern", b.target.Pattern)
}

// A pipeResolver tells grpc which pipes there are. For fixed names that is said
// at once and once; a pattern is looked up again and again. It also cuts grpc's
// back-off short when a pipe that was missing is there again.
//
// It does that by giving the pipe's address another number, which makes grpc
// take it for a new address and dial it with a fresh back-off. There is a method
// for this purpose, (*grpc.ClientConn).ResetConnectBackoff, but it walks a map
// of connections without holding its lock: called by itself, at any moment, it
// would end the process now and then with "concurrent map iteration and map
// write" (grpc 1.85.0, clientconn.go; the race detector sees it within seconds).
type pipeResolver struct {
	*builder
	cc   resolver.ClientConn
	stop chan struct{} // closed by Close
	done chan struct{} // closed when run has ended

	// Of Build, then of run.
	paths  []string
	tries  map[string]uint64  // a number for each path that was found again
	slots  map[string][]*slot // the connections of each path
	listed bool               // a list was published
}

// tryKey is the key of the number in an address's attributes.
type tryKey struct{}

// ResolveNow does nothing: what there is to know is looked at all the time.
func (*pipeResolver) ResolveNow(resolver.ResolveNowOptions) {}

func (r *pipeResolver) Close() {
	close(r.stop)
	<-r.done
	r.missing.forget()
}

func (r *pipeResolver) run() {
	defer close(r.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	nextList := time.Now()
	for {
		select {
		case <-r.stop:
			return
		case <-timer.C:
		case <-r.missing.wake:
		}
		now := time.Now()
		if r.target.Pattern != "" && !now.Before(nextList) {
			r.relist()
			nextList = now.Add(listInterval)
		}
		back, wait := r.missing.look(now)
		if r.retry(back) {
			r.publish()
		}
		if until := time.Until(nextList); r.target.Pattern != "" && (wait == 0 || until < wait) {
			wait = max(until, time.Millisecond)
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

// retry gives new numbers to the paths that are back, and tells whether any of
// them is one of ours.
func (r *pipeResolver) retry(back []string) (changed bool) {
	for _, path := range back {
		if slices.Contains(r.paths, path) {
			r.tries[path]++
			changed = true
		}
	}
	return changed
}

// relist looks for the pipes that fit the pattern and tells grpc what changed.
func (r *pipeResolver) relist() {
	entries, err := r.list.List(r.target.Pattern)
	if err != nil && len(r.paths) > 0 {
		return // a passing fault, perhaps: what was found goes on
	}
	paths := make([]string, 0, len(entries))
	for _, e := range entries {
		paths = append(paths, e.Path)
	}
	slices.Sort(paths) // so that the same pipes are the same list
	if err != nil {
		err = fmt.Errorf("npipe:%s: can't list the pipes: %w", r.target.Pattern, err)
	} else {
		err = r.nothingFits()
	}
	r.none.Store(&err)
	if r.listed && slices.Equal(paths, r.paths) {
		return
	}
	for path := range r.tries {
		if !slices.Contains(paths, path) {
			delete(r.tries, path)
		}
	}
	for path := range r.slots {
		if !slices.Contains(paths, path) {
			delete(r.slots, path)
		}
	}
	r.paths, r.listed = paths, true
	r.publish()
}

// publish tells grpc the addresses.
func (r *pipeResolver) publish() {
	addrs := make([]resolver.Address, 0, len(r.paths))
	for _, path := range r.paths {
		addr := resolver.Address{Addr: path}
		addr.Attributes = addr.Attributes.WithValue(builderKey{}, r.builder)
		if n := r.tries[path]; n > 0 {
			addr.Attributes = addr.Attributes.WithValue(tryKey{}, n)
		}
		addrs = append(addrs, r.fanOut(addr)...)
	}
	if len(addrs) == 0 {
		// Dialling this fails with the reason. An empty list would do for grpc, but
		// then each load balancing policy has words of its own, round_robin's being
		// "no children to pick from".
		addr := resolver.Address{Addr: target.NoPipe}
		addr.Attributes = addr.Attributes.WithValue(builderKey{}, r.builder)
		addrs = append(addrs, addr)
	}
	// An error means that the channel's policy can't use the list. There is
	// nothing to do here that isn't done anyway.
	_ = r.cc.UpdateState(resolver.State{Addresses: addrs})
}
