package namedpipe

import (
	"log/slog"
	"sync/atomic"
)

// Stats are the counters of a [Listener].
type Stats struct {
	// Accepted is the number of connections that Accept has returned.
	Accepted uint64

	// Refused is the number of connections that were closed before Accept
	// returned them, by reason: "access" for clients that Access does not allow
	// (on Windows the system refuses them unseen), "closed" for those closed by
	// Close, and "gone" for clients that left first.
	Refused map[string]uint64

	// Retries is the number of failed attempts to make an instance or to accept
	// that were repeated.
	Retries uint64

	// Waiting is the number of instances that wait for a client; off Windows, 1
	// while the listener is open.
	Waiting int

	// Queued is the number of connections that wait for Accept; off Windows the
	// kernel does not report it and it is 0.
	Queued int

	// Open is the number of connections that Accept has returned and that are not
	// closed.
	Open int
}

// Stats returns the current counters.
func (l *Listener) Stats() Stats {
	s := Stats{
		Accepted: l.stat.accepted.Load(),
		Refused:  map[string]uint64{},
		Retries:  l.stat.retries.Load(),
		Open:     int(l.stat.open.Load()),
	}
	for reason, n := range map[string]*atomic.Uint64{"access": &l.stat.denied, "closed": &l.stat.closed, "gone": &l.stat.gone} {
		if n := n.Load(); n > 0 {
			s.Refused[reason] = n
		}
	}
	s.Waiting, s.Queued = l.l.depth()
	return s
}

// counters are the source of Stats.
type counters struct {
	accepted, denied, closed, gone, retries atomic.Uint64
	open                                    atomic.Int64
}

// log returns the caller's logger or a silent one.
func (lc *ListenConfig) log() *slog.Logger {
	if lc.Logger != nil {
		return lc.Logger
	}
	return slog.New(slog.DiscardHandler)
}
