// Package loglimit keeps a flood of like events from flooding a log.
package loglimit

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// A Limiter writes at most [Burst] lines at once and one each [Interval] on
// average. A line that follows others that were left out has their number as its
// attribute "omitted". The zero value is ready to use; its methods are safe for
// concurrent use.
type Limiter struct {
	mu      sync.Mutex
	full    time.Time // when Burst lines may be written at once again
	omitted uint64
}

// The rate of a Limiter.
const (
	Burst    = 10
	Interval = time.Second
)

// Warn writes a line at the level Warn with the attributes that args returns, or
// counts it as omitted. It calls args only for a line that is written.
func (l *Limiter) Warn(ctx context.Context, log *slog.Logger, msg string, args func() []any) {
	if !log.Enabled(ctx, slog.LevelWarn) {
		return
	}
	omitted, ok := l.next()
	if !ok {
		return
	}
	attrs := args()
	if omitted > 0 {
		attrs = append(attrs, "omitted", omitted)
	}
	log.WarnContext(ctx, msg, attrs...)
}

// next reports whether a line may be written now and, if so, how many were omitted
// before it.
func (l *Limiter) next() (omitted uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	full := l.full
	if full.Before(now) {
		full = now
	}
	if full = full.Add(Interval); full.Sub(now) > Burst*Interval {
		l.omitted++
		return 0, false
	}
	l.full = full
	omitted, l.omitted = l.omitted, 0
	return omitted, true
}
