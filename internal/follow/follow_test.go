package follow

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

func newName() string { return "gptest-" + rand.Text()[:12] }

func listenAt(t *testing.T, name string) *namedpipe.Listener {
	t.Helper()
	l, err := namedpipe.Listen(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// following returns a Follower of the target and the path of its first pipe.
func following(t *testing.T, text string) (f *Follower, path string) {
	t.Helper()
	to, err := target.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return New(to, System), to.Paths[0]
}

// dials plays Run and a dialer that never gets through for some seconds of a
// clock of its own, and returns how often it was told to dial.
func dials(f *Follower, path string, seconds int) (n int) {
	start := time.Now()
	for d := time.Duration(0); d < time.Duration(seconds)*time.Second; d += lookInterval {
		back, wait := f.look(start.Add(d))
		if wait == 0 {
			return n // nothing is missing
		}
		if back {
			n++
			f.dialing(path)(fs.ErrNotExist)
		}
	}
	return n
}

func TestMissingPipe(t *testing.T) {
	t.Parallel()
	name := newName()
	f, path := following(t, name)
	if _, wait := f.look(time.Now()); wait != 0 {
		t.Error("something is looked for from the beginning")
	}
	f.dialing(path)(fs.ErrNotExist)
	if n := dials(f, path, 5); n != 0 {
		t.Errorf("%d dials to a pipe that isn't there", n)
	}
	if _, wait := f.look(time.Now().Add(2 * patience)); wait != lookSlowly {
		t.Errorf("after a while there is a look every %v", wait)
	}
	l := listenAt(t, name)
	if back, _ := f.look(time.Now()); !back || f.snapshot()[0].Returns != 1 {
		t.Errorf("it is there again: %v, %+v", back, f.snapshot())
	}
	done := f.dialing(path)
	if back, _ := f.look(time.Now().Add(time.Minute)); back {
		t.Error("it is dialed twice at once")
	}
	done(nil)
	if _, wait := f.look(time.Now()); wait != 0 {
		t.Error("what was reached is still looked for")
	}
	if n := l.Stats().Accepted + uint64(l.Stats().Queued); n != 0 {
		t.Errorf("looking has opened the pipe: %+v", l.Stats())
	}
	f.dialing(path)(fs.ErrPermission)
	if _, wait := f.look(time.Now()); wait != 0 {
		t.Error("a pipe that refuses us is looked for")
	}
}

// A name that is there and can't be dialed must not be dialed without end: a
// Unix socket has its name before its server listens, and keeps it when its
// server is killed.
func TestServerlessName(t *testing.T) {
	t.Parallel()
	name := newName()
	f, path := following(t, name)
	f.dialing(path)(fs.ErrNotExist)
	listenAt(t, name)
	limit := maxReports
	if runtime.GOOS == "windows" {
		limit = 2 * maxReports // there the name means a server; it goes on, ever slower
	}
	if n := dials(f, path, 10); n < 3 || n > limit {
		t.Errorf("%d dials in 10 s", n)
	}
}

func TestDeadSocketIsNoNews(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the name of a Windows pipe goes with its server")
	}
	name := newName()
	f, path := following(t, name)
	l := listenAt(t, name)
	if err := os.Rename(path, path+"-dead"); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.Rename(path+"-dead", path); err != nil {
		t.Fatal(err)
	}
	f.dialing(path)(fs.ErrNotExist)
	if n := dials(f, path, 5); n != 0 {
		t.Errorf("%d dials to a dead socket", n)
	}
	listenAt(t, name) // takes the dead socket's place, with its inode perhaps
	if back, _ := f.look(time.Now()); !back {
		t.Error("the new server was taken for the dead one")
	}
}

// While another pipe is served, a missing one is looked for only if somebody
// goes on dialing it, and not often.
func TestMissingBesideServed(t *testing.T) {
	t.Parallel()
	f, a := following(t, "npipe:"+newName()+","+newName())
	b := f.pipes[1].path
	f.dialing(a)(fs.ErrNotExist)
	if _, wait := f.look(time.Now()); wait != lookInterval {
		t.Errorf("a look every %v with nobody there", wait)
	}
	f.dialing(b)(nil)
	now := time.Now()
	if _, wait := f.look(now); wait != lookServed {
		t.Errorf("a look every %v just after the dial", wait)
	}
	if _, wait := f.look(now.Add(2 * lookWanted)); wait != 0 {
		t.Errorf("a look every %v for a pipe that nobody wants", wait)
	}
	f.dialing(a)(fs.ErrNotExist) // a policy that wants all
	if _, wait := f.look(time.Now()); wait != lookServed {
		t.Errorf("a look every %v for a pipe that is wanted", wait)
	}
	f.dialing(b)(fs.ErrNotExist)
	if _, wait := f.look(time.Now().Add(2 * lookWanted)); wait != lookInterval {
		t.Errorf("a look every %v once both are missing", wait)
	}
}

// A listOf lists what a test says.
type listOf struct {
	mu    sync.Mutex
	names []string
	err   error
}

func (l *listOf) set(err error, names ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names, l.err = names, err
}

func (l *listOf) List(string) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var entries []Entry
	for _, name := range l.names {
		entries = append(entries, Entry{Name: name, Path: name})
	}
	return entries, l.err
}

// Servers come and go under names of their own: what is known of a pipe must go
// with it.
func TestGonePipesAreForgotten(t *testing.T) {
	t.Parallel()
	list := &listOf{}
	f := New(target.Target{Pattern: "worker-*"}, list)
	for range 100 {
		path := newName()
		list.set(nil, path)
		if !f.relist() {
			t.Fatal("a new pipe is no change")
		}
		done := f.dialing(path)
		f.dialing(path)(fs.ErrNotExist)
		if _, wait := f.look(time.Now()); wait != lookInterval {
			t.Fatal("a pipe on the list is not looked for")
		}
		list.set(nil)
		f.relist()
		done(fs.ErrNotExist)                // a dial that was under way
		f.dialing(path)(fs.ErrNotExist)     // and one that came too late
		_, wait := f.look(time.Now())       // must find nothing to do
		if wait != 0 || len(f.pipes) != 0 { // for the list has the pipe no more
			t.Fatalf("looked for every %v: %+v", wait, f.pipes)
		}
	}
}

// Run tells of every change, at the beginning too, and nothing else; a list that
// fails keeps what was found.
func TestRun(t *testing.T) {
	t.Parallel()
	list := &listOf{}
	f := New(target.Target{Pattern: "worker-*"}, list)
	ctx, cancel := context.WithCancel(t.Context())
	changes, over := make(chan []Pipe), make(chan bool)
	go func() {
		f.Run(ctx, func(p []Pipe) { changes <- p })
		close(over)
	}()
	want := func(paths ...string) {
		t.Helper()
		select {
		case got := <-changes:
			if !slices.EqualFunc(got, paths, func(p Pipe, path string) bool { return p.Path == path }) {
				t.Fatalf("got %+v, want %q", got, paths)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("nothing is told, want %q", paths)
		}
	}
	want()
	none := func(text string, as error) {
		t.Helper()
		c, err := f.Dial(ctx, target.NoPipe, &namedpipe.Dialer{})
		if c != nil || !errors.As(err, new(*NoMatchError)) || !errors.Is(err, as) || !strings.Contains(err.Error(), text) {
			t.Errorf("%v, %v", c, err)
		}
	}
	none("no pipe matches npipe:worker-*", fs.ErrNotExist)
	list.set(nil, "b", "a")
	want("a", "b")
	list.set(nil, "a", "b") // the same in another order
	if f.relist() {
		t.Error("the same pipes are a change")
	}
	list.set(fs.ErrPermission)
	if f.relist() {
		t.Error("a fault is a change")
	}
	list.set(nil, "b", "c")
	want("b", "c")
	list.set(nil)
	want()
	list.set(fs.ErrPermission)
	f.relist()
	none("can't list the pipes", fs.ErrPermission)
	cancel()
	<-over
	if len(f.pipes) != 0 {
		t.Errorf("after Run there are %+v", f.pipes)
	}
}
