package main

import (
	"math/bits"
	"time"
)

// A histogram counts durations without allocating: 128 steps to each power of
// two nanoseconds, so a value is right to less than one percent, and quantiles
// lie on a straight line within a step.
type histogram [40 * steps]uint32

const (
	stepBits = 7
	steps    = 1 << stepBits
)

func (h *histogram) add(d time.Duration) { h[slot(uint64(max(d, 0)))]++ }

func slot(ns uint64) int {
	if ns < steps {
		return int(ns)
	}
	shift := bits.Len64(ns) - stepBits - 1
	i := (shift+1)<<stepBits + int(ns>>shift) - steps
	return min(i, 40*steps-1)
}

// bounds are the least value of a slot and that of the next.
func bounds(i int) (from, to float64) {
	if i < steps {
		return float64(i), float64(i + 1)
	}
	shift := i>>stepBits - 1
	low := (i&(steps-1) + steps) << shift
	return float64(low), float64(low + 1<<shift)
}

func (h *histogram) merge(other *histogram) {
	for i, n := range other {
		h[i] += n
	}
}

func (h *histogram) quantile(q float64) time.Duration {
	var all uint64
	for _, n := range h {
		all += uint64(n)
	}
	want := q * float64(all)
	var seen float64
	for i, n := range h {
		if n > 0 && seen+float64(n) >= want {
			from, to := bounds(i)
			return time.Duration(from + (to-from)*(want-seen)/float64(n))
		}
		seen += float64(n)
	}
	return 0
}
