// Package follow keeps track of the pipes that a target names: which there are,
// and when one that was missing is there again. It opens none of its own accord,
// since that would take an instance from the server.
package follow

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// listInterval is the time between two lists of a pattern's pipes: servers that
// come and go must be noticed within a second.
const listInterval = 250 * time.Millisecond

// A Pipe is one of the pipes that a target names.
type Pipe struct {
	Path string
	// Returns counts how often the pipe was missing and then seen again. When it
	// rises the pipe should be dialed at once, whatever a back-off says.
	Returns uint64
}

// A NoMatchError says that no pipe matches a pattern, or why that can't be known.
// It matches fs.ErrNotExist, or the system's error.
type NoMatchError struct {
	Pattern string
	Err     error // from listing the pipes; nil if there are none
}

func (e *NoMatchError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s:%s: can't list the pipes: %v", target.Scheme, e.Pattern, e.Err)
	}
	return fmt.Sprintf("no pipe matches %s:%s: start a server, or check the pattern", target.Scheme, e.Pattern)
}

// Unwrap returns Err, or fs.ErrNotExist.
func (e *NoMatchError) Unwrap() error {
	if e.Err != nil {
		return e.Err
	}
	return fs.ErrNotExist
}

// A Follower follows the pipes of one target. Dial may be called by any number
// of goroutines, Run by one at a time.
type Follower struct {
	target target.Target
	list   Lister
	wake   chan struct{} // has a token when a dial has failed

	mu    sync.Mutex
	pipes []*pipe       // those there are, in the order of the target or of their paths
	none  *NoMatchError // why there are none
}

// New returns a Follower of the pipes of t. Those of a pattern come from list.
func New(t target.Target, list Lister) *Follower {
	f := &Follower{target: t, list: list, wake: make(chan struct{}, 1)}
	f.reset()
	return f
}

// reset forgets what is known of the pipes.
func (f *Follower) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pipes = nil
	for _, path := range f.target.Paths {
		f.pipes = append(f.pipes, &pipe{path: path})
	}
	f.none = &NoMatchError{Pattern: f.target.Pattern}
}

// Run follows the pipes until ctx ends. It calls changed with all of them, at
// the beginning and whenever there are others or one has returned.
func (f *Follower) Run(ctx context.Context, changed func([]Pipe)) {
	defer f.reset()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var nextList time.Time
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.wake:
		}
		now := time.Now()
		news := first
		if f.target.Pattern != "" && !now.Before(nextList) {
			news = f.relist() || news
			nextList = now.Add(listInterval)
		}
		back, wait := f.look(now)
		if back || news {
			changed(f.snapshot())
		}
		if until := time.Until(nextList); f.target.Pattern != "" && (wait == 0 || until < wait) {
			wait = max(until, time.Millisecond)
		}
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
	}
}

func (f *Follower) snapshot() []Pipe {
	f.mu.Lock()
	defer f.mu.Unlock()
	pipes := make([]Pipe, len(f.pipes))
	for i, p := range f.pipes {
		pipes[i] = Pipe{Path: p.path, Returns: p.returns}
	}
	return pipes
}

// relist looks for the pipes that match the pattern and reports whether they are
// others than before. What is known of a pipe that has gone is dropped.
func (f *Follower) relist() (changed bool) {
	entries, err := f.list.List(f.target.Pattern)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && len(f.pipes) > 0 {
		return false // the fault may pass: keep what was found
	}
	f.none = &NoMatchError{Pattern: f.target.Pattern, Err: err}
	known := map[string]*pipe{}
	for _, p := range f.pipes {
		known[p.path] = p
	}
	before := f.pipes
	f.pipes = make([]*pipe, len(entries))
	for i, e := range entries {
		if f.pipes[i] = known[e.Path]; f.pipes[i] == nil {
			f.pipes[i] = &pipe{path: e.Path}
		}
	}
	slices.SortFunc(f.pipes, func(a, b *pipe) int { return cmp.Compare(a.path, b.path) })
	return !slices.Equal(before, f.pipes)
}

// Dial opens the pipe at the path with d, and notes whether it is missing. For
// target.NoPipe it returns a *[NoMatchError].
func (f *Follower) Dial(ctx context.Context, path string, d *namedpipe.Dialer) (*namedpipe.Conn, error) {
	if path == target.NoPipe {
		f.mu.Lock()
		defer f.mu.Unlock()
		return nil, f.none
	}
	done := f.dialing(path)
	c, err := d.Dial(ctx, path)
	done(err)
	return c, err
}

// dialing notes that the pipe at the path is being dialed. The function returned
// must be called with the dial's error.
func (f *Follower) dialing(path string) func(error) {
	before := sight(path) // whatever comes after must count as news
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.pipes, func(p *pipe) bool { return p.path == path })
	if i < 0 {
		return func(error) {} // it has left the list
	}
	p := f.pipes[i]
	p.dialing++
	return func(err error) {
		f.mu.Lock()
		defer f.mu.Unlock()
		p.dialed(err, before, time.Now())
		if err == nil {
			return
		}
		select {
		case f.wake <- struct{}{}:
		default:
		}
	}
}

// look looks for the missing pipes without opening any. It reports whether one
// should be dialed at once, and returns the time until the next look, 0 if there
// is nothing to look for.
func (f *Follower) look(now time.Time) (back bool, wait time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	served := slices.ContainsFunc(f.pipes, func(p *pipe) bool { return p.reached })
	for _, p := range f.pipes {
		every := p.interval(now, served)
		if every == 0 {
			continue
		}
		if wait == 0 || every < wait {
			wait = every
		}
		f.mu.Unlock()
		s := sight(p.path) // takes a system call
		f.mu.Lock()
		if p.missing && p.dialing == 0 && p.isBack(now, s) {
			p.returns++
			back = true
		}
	}
	return back, wait
}
