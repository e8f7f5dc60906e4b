package load

import "math"

// A Rate is the number of calls begun per second. During the warm-up it is
// From; then it goes to To over the duration, evenly or, if Steps is set, in
// equal steps. A To of 0 means From.
type Rate struct {
	From, To float64
	Steps    int
}

// due returns when call n, counted from 0, is due, in seconds since the
// beginning of the run.
func (r Rate) due(n, warmup, duration float64) float64 {
	if r.To == 0 || r.To == r.From || n < r.From*warmup {
		return n / r.From
	}
	n -= r.From * warmup
	if r.Steps > 1 {
		each := duration / float64(r.Steps)
		for i := range r.Steps {
			rate := r.From + (r.To-r.From)*float64(i)/float64(r.Steps-1)
			if n < rate*each {
				return warmup + float64(i)*each + n/rate
			}
			n -= rate * each
		}
		return warmup + duration + (n+1)/r.To
	}
	// After t seconds From*t + slope*t*t/2 calls have begun.
	slope := (r.To - r.From) / duration
	root := r.From*r.From + 2*slope*n
	if root < 0 {
		return math.Inf(1) // a falling rate has reached zero
	}
	return warmup + (math.Sqrt(root)-r.From)/slope
}
