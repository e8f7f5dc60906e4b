package grpcpipe

import (
	"errors"
	"io/fs"
	"sync"
	"time"
)

const (
	// lookInterval is how often a missing pipe is looked for: a tenth of the
	// 200 ms in which a call must be served once the server is there. After
	// patience it is lookSlowly, which still is half of that.
	lookInterval = 20 * time.Millisecond
	lookSlowly   = 100 * time.Millisecond
	patience     = time.Minute
	// A name that is there again and can't be dialled is tried again after 25,
	// 50, 100... ms, up to maxCuts times: a Unix socket has its name before its
	// server listens.
	firstCut = 25 * time.Millisecond
	maxCuts  = 6
)

// absences are the pipes of one channel that were missing when they were last
// dialled. The dialer writes them down, the resolver looks for them, without
// opening anything.
type absences struct {
	wake chan struct{} // has a token when there is something new

	mu sync.Mutex
	m  map[string]*absence
}

// An absence is a pipe that was missing.
type absence struct {
	since   time.Time
	seen    sighting  // before the dial that failed, or by the last look
	dialing int       // dials under way: they may still succeed
	missing bool      // the last dial that ended found no pipe
	cuts    int       // attempts asked for since the name came back, 0 if it has not
	next    time.Time // no attempt before
}

func newAbsences() *absences {
	return &absences{wake: make(chan struct{}, 1), m: map[string]*absence{}}
}

// dialing notes that path is being dialled. The function returned must be called
// with the dial's error.
func (a *absences) dialing(path string) func(error) {
	// Looked at before the dial: what comes after must count as news.
	before := sight(path)
	a.mu.Lock()
	e := a.m[path]
	if e == nil {
		e = &absence{}
		a.m[path] = e
	}
	e.dialing++
	a.mu.Unlock()
	return func(err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		e.dialing--
		switch {
		case err == nil:
			e.missing = false
		case errors.Is(err, fs.ErrNotExist):
			if !e.missing {
				e.since, e.cuts, e.next = time.Now(), 0, time.Time{}
			}
			e.missing, e.seen = true, before
		}
		if !e.missing && e.dialing == 0 && a.m[path] == e {
			delete(a.m, path)
		}
		if !e.missing {
			return // nothing for the resolver to look for
		}
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// look returns the missing pipes whose name is there again and that should be
// dialled at once, and the time until the next look, 0 if nothing is missing.
func (a *absences) look(now time.Time) (back []string, wait time.Duration) {
	for _, path := range a.due() {
		s := sight(path)
		a.mu.Lock()
		if e := a.m[path]; e != nil && e.missing {
			if e.dialing == 0 && e.cut(now, s) {
				back = append(back, path)
			}
			every := lookInterval
			if now.Sub(e.since) > patience {
				every = lookSlowly
			}
			if wait == 0 || every < wait {
				wait = every
			}
		}
		a.mu.Unlock()
	}
	return back, wait
}

// due returns the paths to look at.
func (a *absences) due() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var paths []string
	for path, e := range a.m {
		if e.missing {
			paths = append(paths, path)
		}
	}
	return paths
}

// cut decides whether what was seen now is a reason to dial at once.
func (e *absence) cut(now time.Time, s sighting) bool {
	if s.isNews(e.seen) {
		e.seen = s
		if s.isNews(s) {
			// Windows can't tell one server from the next by the name.
			e.cuts = max(e.cuts, 1)
		} else {
			e.cuts, e.next = 1, time.Time{}
		}
	}
	if e.cuts == 0 || now.Before(e.next) || !s.there {
		return false
	}
	if e.cuts > maxCuts && !s.isNews(s) {
		return false
	}
	e.next = now.Add(firstCut << min(e.cuts-1, maxCuts))
	e.cuts++
	return true
}

// forget drops what is known of every pipe but those under way.
func (a *absences) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for path, e := range a.m {
		e.missing = false
		if e.dialing == 0 {
			delete(a.m, path)
		}
	}
}
