package load

import "math"

// A Rate is how many calls a second begin. During the warm-up it is From; then it
// goes to To over the duration, evenly or, with Steps, in steps of the same
// length. A To of 0 is From.
type Rate struct {
	From, To float64
	Steps    int
}

// due is when call n, from 0 on, begins, in seconds from the beginning.
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
		return math.Inf(1) // a falling rate has come to its end
	}
	return warmup + (math.Sqrt(root)-r.From)/slope
}
