package grpcpipe

import (
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/internal/pipelist"
)

// listInterval is how often a pattern's pipes are listed: servers that come and
// go must be noticed within a second.
const listInterval = 250 * time.Millisecond

// A builder makes the resolvers of one channel, one after the other: grpc closes
// the resolver when the channel becomes idle.
type builder struct {
	target  target
	list    pipelist.Lister
	missing *absences
}

var _ resolver.AuthorityOverrider = (*builder)(nil)

// OverrideAuthority makes localhost the :authority, which is what .NET sends.
// Kestrel resets every call whose authority it can't read as a host, which no
// pipe's path is.
func (*builder) OverrideAuthority(resolver.Target) string { return "localhost" }

func (*builder) Scheme() string { return scheme }

// Build has no use for grpc's idea of the target: the builder has its own.
func (b *builder) Build(_ resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	r := &pipeResolver{
		cc: cc, pattern: b.target.pattern, paths: b.target.paths, list: b.list, missing: b.missing,
		tries: map[string]uint64{},
		stop:  make(chan struct{}),
		done:  make(chan struct{}),
	}
	if r.pattern == "" {
		r.publish()
	}
	go r.run()
	return r, nil
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
// write" (grpc 1.85.0, clientconn.go).
type pipeResolver struct {
	cc      resolver.ClientConn
	pattern string
	list    pipelist.Lister
	missing *absences
	stop    chan struct{} // closed by Close
	done    chan struct{} // closed when run has ended

	// Of Build, then of run.
	paths  []string
	tries  map[string]uint64 // a number for each path that was found again
	listed bool              // a list was published
	last   error             // the error reported last
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
		if r.pattern != "" && !now.Before(nextList) {
			r.relist()
			nextList = now.Add(listInterval)
		}
		back, wait := r.missing.look(now)
		if r.retry(back) {
			r.publish()
		}
		if until := time.Until(nextList); r.pattern != "" && (wait == 0 || until < wait) {
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
	entries, err := r.list.List(r.pattern)
	if err != nil {
		r.report(fmt.Errorf("npipe:%s: can't list the pipes: %w", r.pattern, err))
		return
	}
	paths := make([]string, 0, len(entries))
	for _, e := range entries {
		paths = append(paths, e.Path)
	}
	slices.Sort(paths) // so that the same pipes are the same list
	if r.listed && r.last == nil && slices.Equal(paths, r.paths) {
		return
	}
	for path := range r.tries {
		if !slices.Contains(paths, path) {
			delete(r.tries, path)
		}
	}
	changed := !r.listed || !slices.Equal(paths, r.paths)
	r.paths, r.listed = paths, true
	if len(paths) > 0 {
		r.last = nil
		r.publish()
		return
	}
	if changed {
		r.publish() // drops the connections to pipes that are gone
	}
	r.report(fmt.Errorf("no pipe fits npipe:%s: start a server, or check the pattern", r.pattern))
}

// report tells grpc an error, once: calls that don't wait for a server fail with
// its text.
func (r *pipeResolver) report(err error) {
	if r.last != nil && r.last.Error() == err.Error() {
		return
	}
	r.last = err
	r.cc.ReportError(err)
}

// publish tells grpc the addresses.
func (r *pipeResolver) publish() {
	addrs := make([]resolver.Address, 0, len(r.paths))
	for _, path := range r.paths {
		addr := resolver.Address{Addr: path}
		if n := r.tries[path]; n > 0 {
			addr.Attributes = addr.Attributes.WithValue(tryKey{}, n)
		}
		addrs = append(addrs, addr)
	}
	// An error means that grpc can't use the list, such as an empty one. There
	// is nothing to do here that isn't done anyway.
	_ = r.cc.UpdateState(resolver.State{Addresses: addrs})
}
