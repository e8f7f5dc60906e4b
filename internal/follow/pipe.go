package follow

import (
	"errors"
	"io/fs"
	"time"
)

const (
	// lookInterval is the time between two looks for a missing pipe: a tenth of
	// the 200 ms in which a call must be served once the server is there. After
	// patience it is lookSlowly, which still is half of that.
	lookInterval = 20 * time.Millisecond
	lookSlowly   = 100 * time.Millisecond
	patience     = time.Minute
	// While another pipe is served a missing one is looked for every lookServed,
	// and only if it was dialed within the last lookWanted. A policy that wants
	// all the pipes dials it again every 2 s; one that is content with the first
	// does not, and nothing is looked for then.
	lookServed = 250 * time.Millisecond
	lookWanted = 5 * time.Second
	// A pipe that is there again and can't be dialed is reported again after 25,
	// 50, 100... ms, up to maxReports times: a Unix socket has its name before
	// its server listens.
	firstPause = 25 * time.Millisecond
	maxReports = 6
)

// A pipe is what a Follower knows of one, from the dials and from looking.
type pipe struct {
	path    string
	returns uint64

	dialing int       // dials under way: they may still succeed
	last    time.Time // when the last dial ended
	reached bool      // it succeeded
	missing bool      // it found no pipe, or one that nobody listens on
	since   time.Time // when the pipe was found missing first

	seen    sighting  // before the dial that failed, or by the last look
	reports int       // since the name came back, 0 if it has not
	next    time.Time // no report before
}

// dialed notes how a dial has ended. before is what was seen when it began.
func (p *pipe) dialed(err error, before sighting, now time.Time) {
	p.dialing--
	p.last, p.reached = now, err == nil
	switch {
	case err == nil:
		p.missing = false
	case errors.Is(err, fs.ErrNotExist):
		if !p.missing {
			p.since, p.reports, p.next = now, 0, time.Time{}
		}
		p.missing, p.seen = true, before
	}
}

// interval is the time between two looks for the pipe, 0 if it need not be looked
// for.
func (p *pipe) interval(now time.Time, served bool) time.Duration {
	switch {
	case !p.missing, served && now.Sub(p.last) > lookWanted:
		return 0
	case served:
		return lookServed
	case now.Sub(p.since) > patience:
		return lookSlowly
	}
	return lookInterval
}

// isBack reports whether what was seen now is a reason to dial at once.
func (p *pipe) isBack(now time.Time, s sighting) bool {
	if s.isNews(p.seen) {
		p.seen = s
		if s.isNews(s) {
			// Windows can't tell one server from the next by the name.
			p.reports = max(p.reports, 1)
		} else {
			p.reports, p.next = 1, time.Time{}
		}
	}
	if p.reports == 0 || now.Before(p.next) || !s.there {
		return false
	}
	if p.reports > maxReports && !s.isNews(s) {
		return false
	}
	p.next = now.Add(firstPause << min(p.reports-1, maxReports))
	p.reports++
	return true
}
