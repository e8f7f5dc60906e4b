package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"regexp"
	"strings"
	"time"
)

// quick measures a few lines of this library and compares the ratios with those
// of the baseline.
func quick(o options) error {
	o.only = strings.Join([]string{stock, stockAgain, ours, engineName, transportName, limit("")}, ",")
	o.memory, o.wine = false, ""
	o.rounds, o.time = 15, 120*time.Millisecond
	var names []string
	for _, n := range quickLines {
		names = append(names, regexp.QuoteMeta(n))
	}
	o.lines = "^(" + strings.Join(names, "|") + ")$"
	res, err := measure(o, allLines, "go run . -quick")
	if err != nil {
		return err
	}
	if o.json != "" {
		if err := res.save(o.json); err != nil {
			return err
		}
	}
	base, err := loadResults(o.baseline)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no baseline %s: create one with -json", o.baseline)
	} else if err != nil {
		return err
	}
	return compare(os.Stdout, base, res)
}

// leastNoise is how much two runs of the same program differ on an idle machine.
const leastNoise = 0.05

// uncertainty is how far a line's median may be off, as a logarithm: two and a
// half standard errors of a median, from the quartiles and the number of rounds.
func (lr *lineResult) uncertainty(name, base string) float64 {
	r, ok := lr.ratio(name, base)
	if !ok {
		return 0
	}
	return 2.5 * 0.93 * (math.Log(r.Q3) - math.Log(r.Q1)) / math.Sqrt(float64(len(lr.Rounds[name])))
}

// drift is how far the ratio of stock grpc-go to itself is from 1. More rounds
// don't reduce it.
func (lr *lineResult) drift() float64 {
	if r, ok := lr.ratio(stockAgain, stock); ok {
		return math.Abs(math.Log(r.Median))
	}
	return 0
}

// errSlower means that the guard has failed.
var errSlower = errors.New("slower than the baseline by more than the noise")

// compare prints what changed between two runs by more than the noise of both.
func compare(w *os.File, base, now *results) error {
	if len(base.Systems) == 0 || len(now.Systems) == 0 {
		return errors.New("the baseline or this run is empty")
	}
	var slower bool
	was := map[string]*lineResult{}
	for _, lr := range base.Systems[0].Lines {
		was[lr.Line.Name] = lr
	}
	goos := now.Systems[0].System
	fmt.Fprintf(w, "| work | what | ratio to | baseline | now | change | noise | |\n|---|---|---|---|---|---|---|---|\n")
	for _, lr := range now.Systems[0].Lines {
		names := []string{ours, engineName}
		if lr.Line.Transport {
			names = []string{transportName}
		}
		for _, name := range names {
			slower = lr.moved(w, was[lr.Line.Name], name, lr.Line.base(goos)) || slower
		}
	}
	fmt.Fprintf(w, "\nBaseline of %s, commit %s (%s); this run took %v.\n", base.Date, base.Commit, base.Machine, now.Took)
	if slower {
		return errSlower
	}
	return nil
}

// moved prints how far a contender's ratio is from the one in the baseline, and
// reports whether it is slower by more than the noise of both runs.
func (lr *lineResult) moved(w io.Writer, old *lineResult, name, to string) (slower bool) {
	row := fmt.Sprintf("| %s | %s | %s |", lr.Line.About, name, to)
	if old == nil {
		fmt.Fprintln(w, row, "not in the baseline | | | | |")
		return false
	}
	a, ok1 := old.ratio(name, to)
	b, ok2 := lr.ratio(name, to)
	if !ok1 || !ok2 {
		fmt.Fprintln(w, row, "not measured | | | | |")
		return false
	}
	noise := max(leastNoise, math.Hypot(lr.uncertainty(name, to), old.uncertainty(name, to))+max(lr.drift(), old.drift()))
	change := math.Log(b.Median) - math.Log(a.Median)
	verdict := ""
	switch {
	case change < -noise:
		verdict, slower = "SLOWER", true
	case change > noise:
		verdict = "faster"
	}
	fmt.Fprintf(w, "%s %v | %v | %+.0f %% | ±%.0f %% | %s |\n", row, a, b, 100*(math.Exp(change)-1), 100*(math.Exp(noise)-1), verdict)
	return slower
}
