package load

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// A server that stands still for a while is seen by the open loop in the latency
// of all the calls that should have been made meanwhile, not of one alone.
func TestOpenLoopCountsFromTheIntendedStart(t *testing.T) {
	const stall = 500 * time.Millisecond
	measure := func(rate float64) *Result {
		var n atomic.Int64
		return Run(t.Context(), Config{
			Workers: 1, Rate: Rate{From: rate}, Duration: time.Second,
			Call: func(int) error {
				if n.Add(1) == 1 {
					<-time.After(stall)
				}
				<-time.After(time.Millisecond)
				return nil
			},
		})
	}
	// 100 a second: about 50 calls were due during the stall.
	if open := measure(100); open.Percentile(75) < stall/5 {
		t.Errorf("open loop: p75 %v, the stall isn't in it", open.Percentile(75))
	}
	if closed := measure(0); closed.Percentile(75) > stall/5 {
		t.Errorf("closed loop: p75 %v, and one call of many stood still", closed.Percentile(75))
	}
}

// At a rate so low that the second call is due later than a time.Duration can
// say, there is one call.
func TestRateNextToNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r := Run(ctx, Config{Workers: 2, Rate: Rate{From: 1e-13}, Duration: 50 * time.Millisecond, Call: func(int) error { return nil }})
	if r.Interrupted || r.Calls != 1 {
		t.Errorf("%d calls, interrupted %v", r.Calls, r.Interrupted)
	}
}

func TestRun(t *testing.T) {
	var calls atomic.Int64
	r := Run(t.Context(), Config{
		Workers: 4, Duration: 10 * time.Second, Count: 1000,
		Call: func(int) error {
			if calls.Add(1)%10 == 0 {
				return status.Error(codes.NotFound, "no such thing")
			}
			return nil
		},
	})
	total := r.Calls + r.Errors[codes.NotFound]
	if total < 1000 || total > 1010 || r.Latency.TotalCount() != r.Calls || r.Errors[codes.NotFound] < 90 || r.FirstErrors[codes.NotFound] != "no such thing" {
		t.Errorf("%d calls, %v, %v", r.Calls, r.Errors, r.FirstErrors)
	}
	var sum int64
	for _, b := range r.Buckets() {
		sum += b.Count
	}
	if sum != r.Calls {
		t.Errorf("the buckets hold %d of %d calls", sum, r.Calls)
	}
}

// The end of a run is part of the last second, not a second with few calls.
func TestSeriesHasNoStub(t *testing.T) {
	r := Run(t.Context(), Config{
		Workers: 2, Duration: 2100 * time.Millisecond,
		Call: func(int) error {
			<-time.After(time.Millisecond)
			return nil
		},
	})
	var sum int64
	for _, p := range r.Series {
		sum += p.Calls
	}
	if last := r.Series[len(r.Series)-1]; len(r.Series) != 2 || last.At < 2*time.Second || sum != r.Calls || last.P50 <= 0 {
		t.Errorf("%d calls in %+v", r.Calls, r.Series)
	}
}

// The warm-up isn't counted, and the end of the context keeps what there is.
func TestWarmupAndInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var made atomic.Int64
	began := time.Now()
	r := Run(ctx, Config{
		Workers: 2, Warmup: 200 * time.Millisecond, Duration: time.Hour,
		Call: func(int) error {
			made.Add(1)
			<-time.After(time.Millisecond)
			if time.Since(began) > 700*time.Millisecond {
				cancel()
			}
			return nil
		},
	})
	if !r.Interrupted || r.Calls == 0 || r.Calls > made.Load()-10 || r.Elapsed > time.Since(began)-150*time.Millisecond {
		t.Errorf("%d of %d calls in %v, interrupted: %v", r.Calls, made.Load(), r.Elapsed, r.Interrupted)
	}
}

// An open loop whose workers are all busy ends on time and says how many calls it
// has missed.
func TestMissed(t *testing.T) {
	t.Parallel()
	began := time.Now()
	r := Run(t.Context(), Config{
		Call:    func(int) error { <-time.After(20 * time.Millisecond); return nil },
		Workers: 1, Rate: Rate{From: 1000}, Duration: 200 * time.Millisecond,
	})
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	if due := r.Calls + r.Missed; due < 195 || due > 201 || r.Missed < 150 {
		t.Errorf("%d calls, %d missed", r.Calls, r.Missed)
	}
}
