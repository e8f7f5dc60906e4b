// Package load makes calls in a closed or an open loop and measures them.
package load

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// Latencies are kept to three digits up to 100 s, in nanoseconds.
	lowest, highest, digits = 1, int64(100 * time.Second), 3
	// errorPause keeps a closed loop from spinning when no call gets through.
	errorPause = 10 * time.Millisecond
	// grace is how late after the end a call may begin that was due before it.
	grace = 200 * time.Millisecond
	// interval is the width of the points of the series.
	interval = time.Second
)

// A Config says what to do.
type Config struct {
	// Call makes one call; worker is from 0 to Workers-1. When the context of
	// Run ends, so must Call, which need not be given that: an error after it
	// isn't counted.
	Call func(worker int) error
	// Workers is how many calls can be under way at the same time.
	Workers int
	// Rate, if its From is not 0, is how many calls a second are to begin,
	// whatever becomes of them: the open loop.
	Rate Rate
	// Ramp, if not 0, is the time over which the workers of the closed loop
	// start, one after the other, from the end of the warm-up on.
	Ramp time.Duration
	// CountErrors puts failed calls among the latencies.
	CountErrors bool
	// Each, if not nil, is told of each call that counts, by its worker.
	Each func(due time.Time, took time.Duration, err error)
	// Warmup is made first and not counted.
	Warmup time.Duration
	// Duration is for how long calls are begun and counted, unless Count calls
	// have been before.
	Duration time.Duration
	Count    int64
	// Progress, if not nil, is called five times a second.
	Progress func(Progress)
}

// Progress is the state of a run under way.
type Progress struct {
	Warming bool
	Elapsed time.Duration // since the warm-up
	Calls   int64
	Errors  int64
	Last    Point // the second before
}

// A Point is one second of a run.
type Point struct {
	At       time.Duration // its end, from the beginning
	Calls    int64
	Errors   int64
	P50, P99 time.Duration
}

// A Result is what was measured.
type Result struct {
	Started     time.Time
	Elapsed     time.Duration
	Calls       int64 // that ended well
	Errors      map[codes.Code]int64
	FirstErrors map[codes.Code]string
	Latency     *hdrhistogram.Histogram // in nanoseconds, of the calls that ended well, with CountErrors of all
	Series      []Point
	Interrupted bool
	// Missed is how many calls the open loop should have begun and had not when
	// the time was over, since all workers were busy.
	Missed int64
}

// A worker holds the latencies of one loop until there are enough of them for a
// batch, so that loops don't wait for each other after each call.
type worker struct {
	mu   sync.Mutex
	took []time.Duration
}

// batch is the number of latencies that a worker holds.
const batch = 64

type run struct {
	cfg     Config
	workers []*worker
	next    atomic.Int64 // the number of the next call
	missed  atomic.Int64
	counted atomic.Int64 // calls begun after the warm-up, if Count limits them
	began   time.Time
	counts  time.Time // when counting begins
	end     time.Time

	mu     sync.Mutex
	res    *Result
	errors int64                   // of res.Errors
	failed int64                   // errors since the last point
	second *hdrhistogram.Histogram // latencies since the last point
	last   *hdrhistogram.Histogram // latencies of the last point
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(lowest, highest, digits) }

// Run makes the calls. The end of ctx ends it early; what was measured until
// then is returned all the same.
func Run(ctx context.Context, cfg Config) *Result {
	r := &run{cfg: cfg, began: time.Now(), second: newHistogram(), last: newHistogram()}
	r.counts = r.began.Add(cfg.Warmup)
	r.end = r.counts.Add(cfg.Duration)
	r.res = &Result{Started: r.counts, Errors: map[codes.Code]int64{}, FirstErrors: map[codes.Code]string{}, Latency: newHistogram()}
	var wg sync.WaitGroup
	for i := range cfg.Workers {
		w := &worker{took: make([]time.Duration, 0, batch)}
		r.workers = append(r.workers, w)
		wg.Go(func() { r.loop(ctx, i, w) })
	}
	done := make(chan struct{})
	go func() {
		wg.Wait()
		close(done)
	}()
	return r.collect(ctx, done)
}

// loop makes calls one after the other.
func (r *run) loop(ctx context.Context, i int, w *worker) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	if r.cfg.Ramp > 0 && i > 0 {
		sleepUntil(ctx, timer, r.counts.Add(r.cfg.Ramp*time.Duration(i)/time.Duration(r.cfg.Workers)))
	}
	for ctx.Err() == nil {
		start := time.Now()
		if r.cfg.Rate.From > 0 {
			// The call is due at its own time, however late its worker comes:
			// what it has waited for that is part of its latency.
			after := r.cfg.Rate.due(float64(r.next.Add(1)-1), r.cfg.Warmup.Seconds(), r.cfg.Duration.Seconds())
			if after > r.end.Sub(r.began).Seconds() {
				return // it may be too much for a time.Duration
			}
			due := r.began.Add(time.Duration(after * float64(time.Second)))
			if !sleepUntil(ctx, timer, due) {
				return
			}
			start = due
			if time.Since(r.end) > grace {
				r.missed.Add(1)
				continue
			}
		}
		if !start.Before(r.end) {
			return
		}
		counted := !start.Before(r.counts)
		if counted && r.cfg.Count > 0 && r.counted.Add(1) > r.cfg.Count {
			return
		}
		err := r.cfg.Call(i)
		took := time.Since(start)
		if err != nil && ctx.Err() != nil {
			return // it is Ctrl-C that has ended it
		}
		if counted {
			r.record(w, took, err)
			if r.cfg.Each != nil {
				r.cfg.Each(start, took, err)
			}
		}
		if err != nil && status.Code(err) == codes.Unavailable {
			sleepUntil(ctx, timer, time.Now().Add(errorPause))
		}
	}
}

func (r *run) record(w *worker, took time.Duration, err error) {
	if err != nil {
		r.recordError(err)
		if !r.cfg.CountErrors {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.took = append(w.took, took); len(w.took) == batch {
		r.take(w)
	}
}

func (r *run) recordError(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errors++
	r.failed++
	code := status.Code(err)
	r.res.Errors[code]++
	if r.res.FirstErrors[code] == "" {
		r.res.FirstErrors[code] = status.Convert(err).Message()
	}
}

// take adds what a worker holds to the second under way. The worker is locked.
func (r *run) take(w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range w.took {
		r.second.RecordValue(min(max(int64(d), lowest), highest)) // so that no error can be
	}
	w.took = w.took[:0]
}

func sleepUntil(ctx context.Context, timer *time.Timer, at time.Time) bool {
	left := time.Until(at)
	if left <= 0 {
		return true
	}
	timer.Reset(left)
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// collect makes points of what the workers measure, one a second, until done.
func (r *run) collect(ctx context.Context, done <-chan struct{}) *Result {
	tick := time.NewTicker(interval / 5)
	defer tick.Stop()
	next := r.counts.Add(interval)
	for running := true; running; {
		var now time.Time
		select {
		case <-done:
			running, now = false, time.Now()
		case now = <-tick.C:
		}
		for _, w := range r.workers {
			w.mu.Lock()
			r.take(w)
			w.mu.Unlock()
		}
		if !now.Before(next) || !running {
			r.point(now)
			for !next.After(now) {
				next = next.Add(interval)
			}
		}
		if r.cfg.Progress != nil && running {
			r.cfg.Progress(r.progress(now))
		}
	}
	r.res.Elapsed = max(time.Since(r.counts), 0) // Ctrl-C may come in the warm-up
	r.res.Calls = r.res.Latency.TotalCount()
	if r.cfg.CountErrors {
		r.res.Calls -= r.errors
	}
	r.res.Interrupted = ctx.Err() != nil
	r.res.Missed = r.missed.Load()
	return r.res
}

func (r *run) progress(now time.Time) Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Progress{
		Warming: now.Before(r.counts), Elapsed: now.Sub(r.counts),
		Calls: r.res.Latency.TotalCount() + r.second.TotalCount(), Errors: r.errors,
	}
	if n := len(r.res.Series); n > 0 {
		p.Last = r.res.Series[n-1]
	}
	return p
}

// point ends the second under way. What comes within half an interval of the
// point before, which can only be the end, becomes part of that point: a few
// calls in a few milliseconds would say nothing true of a second.
func (r *run) point(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	res := r.res
	n := len(res.Series)
	if n == 0 && now.Before(r.counts) {
		return // Ctrl-C in the warm-up
	}
	if n == 0 || now.Sub(r.counts)-res.Series[n-1].At >= interval/2 {
		res.Series = append(res.Series, Point{})
		r.last.Reset()
		n++
	}
	res.Latency.Merge(r.second)
	r.last.Merge(r.second)
	r.second.Reset()
	p := &res.Series[n-1]
	p.At = now.Sub(r.counts)
	p.Calls = r.last.TotalCount()
	p.Errors += r.failed
	r.failed = 0
	p.P50, p.P99 = time.Duration(r.last.ValueAtQuantile(50)), time.Duration(r.last.ValueAtQuantile(99))
}

// A Bucket is a bar of a histogram: how many calls took longer than the bucket
// before it and no longer than UpTo.
type Bucket struct {
	UpTo  time.Duration
	Count int64
}

// Buckets are the latencies in steps of 1, 2 and 5, without the empty ones at
// either end.
func (r *Result) Buckets() []Bucket {
	var bounds []time.Duration
	for unit := time.Microsecond; unit <= 100*time.Second; unit *= 10 {
		bounds = append(bounds, unit, 2*unit, 5*unit)
	}
	buckets := make([]Bucket, len(bounds))
	for i, b := range bounds {
		buckets[i].UpTo = b
	}
	for _, bar := range r.Latency.Distribution() {
		i, _ := slices.BinarySearch(bounds, time.Duration(bar.From+bar.To)/2)
		buckets[min(i, len(buckets)-1)].Count += bar.Count
	}
	for len(buckets) > 0 && buckets[0].Count == 0 {
		buckets = buckets[1:]
	}
	for len(buckets) > 0 && buckets[len(buckets)-1].Count == 0 {
		buckets = buckets[:len(buckets)-1]
	}
	return buckets
}

// Percentile is the latency that p of a hundred calls don't exceed.
func (r *Result) Percentile(p float64) time.Duration {
	return time.Duration(r.Latency.ValueAtQuantile(p))
}
