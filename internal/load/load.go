// Package load makes calls in a closed or an open loop and measures their
// latency.
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
	// Latencies are recorded in nanoseconds, with three digits, up to 100 s.
	lowest, highest, digits = 1, int64(100 * time.Second), 3
	// errorPause keeps a closed loop from spinning while every call fails.
	errorPause = 10 * time.Millisecond
	// grace is how long after the end of the run a call that was due earlier
	// may still begin.
	grace = 200 * time.Millisecond
	// interval is the time between two points of the series.
	interval = time.Second
)

// A Config describes a run.
type Config struct {
	// Call makes one call; worker is from 0 to Workers-1. It must return when
	// the context of Run ends; an error after that isn't counted.
	Call func(worker int) error
	// Workers is the greatest number of calls under way at the same time.
	Workers int
	// Rate, if its From is not 0, is the number of calls to begin per second,
	// whether or not earlier ones have ended: the open loop.
	Rate Rate
	// Ramp, if not 0, is the time over which the workers of the closed loop
	// start one after the other, beginning at the end of the warm-up.
	Ramp time.Duration
	// CountErrors includes failed calls in the latencies.
	CountErrors bool
	// Each, if not nil, is called for each call that counts, by its worker.
	Each func(due time.Time, took time.Duration, err error)
	// Warmup is how long to make calls before counting them.
	Warmup time.Duration
	// Duration is how long calls are begun and counted. Count, if not 0, ends
	// the run earlier, after that many calls.
	Duration time.Duration
	Count    int64
	// Progress, if not nil, is called five times a second.
	Progress func(Progress)
}

// Progress is the state of a running load.
type Progress struct {
	Warming bool
	Elapsed time.Duration // since the warm-up
	Calls   int64
	Errors  int64
	Last    Point // the second before
}

// A Point is one second of a run.
type Point struct {
	At       time.Duration // its end, since the beginning of the run
	Calls    int64
	Errors   int64
	P50, P99 time.Duration
}

// A Result is what was measured.
type Result struct {
	Started     time.Time
	Elapsed     time.Duration
	Calls       int64 // that succeeded
	Errors      map[codes.Code]int64
	FirstErrors map[codes.Code]string
	Latency     *hdrhistogram.Histogram // in nanoseconds: of successful calls, with CountErrors of all calls
	Series      []Point
	Interrupted bool
	// Missed is the number of calls that the open loop should have begun before
	// the end and did not, since all workers were busy.
	Missed int64
}

// A worker collects the latencies of one loop and hands them over in batches,
// so that loops don't wait for each other after each call.
type worker struct {
	mu   sync.Mutex
	took []time.Duration
}

// batch is the number of latencies that a worker collects.
const batch = 64

type run struct {
	cfg     Config
	workers []*worker
	next    atomic.Int64 // number of the next call
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

// Run makes the calls. The end of ctx ends it early; Run then returns what it
// has measured.
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
			// A late worker doesn't change when the call is due: the wait is
			// part of the call's latency.
			after := r.cfg.Rate.due(float64(r.next.Add(1)-1), r.cfg.Warmup.Seconds(), r.cfg.Duration.Seconds())
			if after > r.end.Sub(r.began).Seconds() {
				return // it may overflow a time.Duration
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
			return // Ctrl-C has ended it
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

// take adds the latencies of a worker to the current second. The caller holds
// the worker's lock.
func (r *run) take(w *worker) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, d := range w.took {
		r.second.RecordValue(min(max(int64(d), lowest), highest)) // so that RecordValue can't fail
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

// collect makes one point a second of what the workers measure, until done.
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

// point ends the current second. Calls within half an interval of the previous
// point, which can only be at the end of the run, become part of that point: a
// few milliseconds say little about a second.
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

// A Bucket is a bar of a histogram: the number of calls that took longer than
// the previous bucket's UpTo and at most this UpTo.
type Bucket struct {
	UpTo  time.Duration
	Count int64
}

// Buckets returns the latencies in steps of 1, 2 and 5, without empty buckets
// at either end.
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

// Percentile returns the latency that p percent of the calls don't exceed.
func (r *Result) Percentile(p float64) time.Duration {
	return time.Duration(r.Latency.ValueAtQuantile(p))
}
