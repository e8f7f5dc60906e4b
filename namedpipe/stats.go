package namedpipe

import (
	"log/slog"
	"sync/atomic"
)

// counters are what Stats is made of.
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
