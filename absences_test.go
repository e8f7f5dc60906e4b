package grpcpipe

import (
	"context"
	"crypto/rand"
	"io/fs"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func newPath(t *testing.T) string {
	t.Helper()
	addr, err := namedpipe.ResolveAddr("gptest-" + rand.Text()[:12])
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

func listenAt(t *testing.T, path string) *namedpipe.Listener {
	t.Helper()
	l, err := namedpipe.Listen(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

// dials plays the watcher and a dialer that never gets through for some seconds
// of a clock of its own, and returns how often it was told to dial.
func dials(a *absences, path string, seconds int) (n int) {
	start := time.Now()
	for d := time.Duration(0); d < time.Duration(seconds)*time.Second; d += lookInterval {
		back, wait := a.look(start.Add(d))
		if wait == 0 {
			return n // nothing is missing
		}
		for range back {
			n++
			a.dialing(path)(fs.ErrNotExist)
		}
	}
	return n
}

func TestAbsence(t *testing.T) {
	t.Parallel()
	a, path := newAbsences(), newPath(t)
	if _, wait := a.look(time.Now()); wait != 0 {
		t.Error("something is looked for from the beginning")
	}
	a.dialing(path)(fs.ErrNotExist)
	if n := dials(a, path, 5); n != 0 {
		t.Errorf("%d dials to a pipe that isn't there", n)
	}
	if _, wait := a.look(time.Now().Add(2 * patience)); wait != lookSlowly {
		t.Errorf("after a while there is a look every %v", wait)
	}
	l := listenAt(t, path)
	back, _ := a.look(time.Now())
	if len(back) != 1 || back[0] != path {
		t.Errorf("it is there again and %q is dialled", back)
	}
	done := a.dialing(path)
	if back, _ := a.look(time.Now().Add(time.Minute)); len(back) != 0 {
		t.Error("it is dialled twice at once")
	}
	done(nil)
	if _, wait := a.look(time.Now()); wait != 0 || len(a.m) != 0 {
		t.Errorf("what was reached is still looked for: %v", a.m)
	}
	if n := l.Stats().Accepted + uint64(l.Stats().Queued); n != 0 {
		t.Errorf("looking has opened the pipe: %+v", l.Stats())
	}
	a.dialing(path)(fs.ErrPermission)
	if len(a.m) != 0 {
		t.Error("a pipe that refuses us is looked for")
	}
}

// A name that is there and can't be dialled must not be dialled without end: a
// Unix socket has its name before its server listens, and keeps it when its
// server is killed.
func TestAbsenceBehindAName(t *testing.T) {
	t.Parallel()
	a, path := newAbsences(), newPath(t)
	a.dialing(path)(fs.ErrNotExist)
	listenAt(t, path)
	limit := maxCuts
	if runtime.GOOS == "windows" {
		limit = 2 * maxCuts // there the name means a server; it goes on, ever slower
	}
	if n := dials(a, path, 10); n < 3 || n > limit {
		t.Errorf("%d dials in 10 s", n)
	}
}

func TestDeadSocketIsNoNews(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the name of a Windows pipe goes with its server")
	}
	a, path := newAbsences(), newPath(t)
	l := listenAt(t, path)
	if err := os.Rename(path, path+"-dead"); err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := os.Rename(path+"-dead", path); err != nil {
		t.Fatal(err)
	}
	a.dialing(path)(fs.ErrNotExist)
	if n := dials(a, path, 5); n != 0 {
		t.Errorf("%d dials to a dead socket", n)
	}
	listenAt(t, path) // takes the dead socket's place, with its inode perhaps
	if back, _ := a.look(time.Now()); len(back) != 1 {
		t.Error("the new server was taken for the dead one")
	}
}
