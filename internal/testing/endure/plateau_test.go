package endure

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

const (
	// growth is how much more may be held at the end than after the warm-up.
	growth = 0.02
	// A few goroutines and handles come and go, and so does what the heap keeps of
	// a collection: in a short run that is more than growth.
	slackCount = 3
	slackHeap  = 512 << 10
	// In a run of less than longRun the burst after a trouble may come late that
	// makes fastgrpc's workers, which stay.
	longRun = 10 * time.Minute
	workers = 64
)

// plateaus compares the least that was held in the second quarter of the run, after
// the warm-up, with the least of the last quarter: what is lost stays. What has grown
// fails the test.
func (r *run) plateaus(t *testing.T) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "HELD\tAFTER WARM-UP\tAT THE END")
	compare := func(what string, slack float64, samples []float64) {
		if len(samples) < 8 { // a quarter is one sample, which tells nothing
			fmt.Fprintf(w, "%s\ttoo few rounds\t\n", what)
			return
		}
		quarter := max(len(samples)/4, 1)
		first, last := slices.Min(samples[quarter:2*quarter]), slices.Min(samples[len(samples)-quarter:])
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\n", what, first, last)
		if last > first*(1+growth)+slack {
			t.Errorf("%s: %.0f after the warm-up, %.0f at the end; all: %.0f", what, first, last, samples)
		}
	}
	goroutines := float64(slackCount)
	if *length < longRun {
		goroutines += workers
	}
	held := func(who string, sizes []size) {
		for _, one := range []struct {
			what  string
			slack float64
			of    func(size) float64
		}{
			{"goroutines", goroutines, func(s size) float64 { return float64(s.Goroutines) }},
			{"handles", slackCount, func(s size) float64 { return float64(s.Handles) }},
			{"bytes of heap", slackHeap, func(s size) float64 { return float64(s.Heap) }},
		} {
			var samples []float64
			for _, s := range sizes {
				samples = append(samples, one.of(s))
			}
			compare(who+": "+one.what, one.slack, samples)
		}
	}
	held("clients", r.own)
	for _, s := range r.slots {
		if len(s.sizes) > 0 {
			held(s.name, s.sizes)
		}
	}
	if r.dir != "" {
		compare("files beside the sockets", 0, r.files)
	}
	w.Flush()
	return b.String()
}
