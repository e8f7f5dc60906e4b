package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// results are the results of one run, as saved in JSON.
type results struct {
	Command string
	Date    string
	Machine string
	Commit  string
	Rounds  int
	Time    time.Duration
	Took    time.Duration
	Notes   []string
	Systems []*systemResult
}

type systemResult struct {
	System      string
	Under       string `json:",omitempty"`
	Go          string
	Procs       int // GOMAXPROCS of each process
	Contenders  []string
	Lines       []*lineResult
	Connections []*connectionResult `json:",omitempty"`
}

// A lineResult holds a line's rounds of each contender; a round that failed is
// null.
type lineResult struct {
	Line   line
	Rounds map[string][]*outcome
}

func newResults(cmd string, o options) *results {
	r := &results{Command: cmd, Date: time.Now().UTC().Format("2006-01-02"), Machine: machine(), Rounds: o.rounds, Time: o.time}
	if b, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output(); err == nil {
		r.Commit = strings.TrimSpace(string(b))
	}
	return r
}

func (r *results) save(path string) error {
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

func loadResults(path string) (*results, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(results)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// score returns what a line compares: more is better.
func (l line) score(o *outcome) float64 {
	switch {
	case l.byTail():
		return 1 / o.P99.Seconds()
	case l.bySpeed():
		return float64(o.Ops) / o.Elapsed.Seconds()
	}
	return 1 / o.P50.Seconds()
}

// A spread is a median with its quartiles and its ends.
type spread5 struct{ Min, Q1, Median, Q3, Max float64 }

func spreadOf(v []float64) (s spread5, ok bool) {
	if len(v) == 0 {
		return s, false
	}
	slices.Sort(v)
	at := func(q float64) float64 {
		pos := q * float64(len(v)-1)
		i := int(pos)
		if i+1 >= len(v) {
			return v[len(v)-1]
		}
		return v[i] + (pos-float64(i))*(v[i+1]-v[i])
	}
	return spread5{v[0], at(0.25), at(0.5), at(0.75), v[len(v)-1]}, true
}

// over reports on which side of 1 a ratio lies: 1 if its middle half lies above
// 1, -1 if below, 0 if it covers 1.
func (s spread5) over() int {
	switch {
	case s.Q1 > 1:
		return 1
	case s.Q3 < 1:
		return -1
	}
	return 0
}

// ratio divides a contender's scores by another's, round by round.
func (lr *lineResult) ratio(name, base string) (spread5, bool) {
	var v []float64
	b := lr.Rounds[base]
	for i, o := range lr.Rounds[name] {
		if o == nil || i >= len(b) || b[i] == nil {
			continue
		}
		if q := lr.Line.score(o) / lr.Line.score(b[i]); !math.IsNaN(q) && !math.IsInf(q, 0) {
			v = append(v, q)
		}
	}
	return spreadOf(v)
}

// figure returns the median over the rounds of any value of an outcome.
func (lr *lineResult) figure(name string, f func(*outcome) float64) (float64, bool) {
	var v []float64
	for _, o := range lr.Rounds[name] {
		if o != nil {
			v = append(v, f(o))
		}
	}
	s, ok := spreadOf(v)
	return s.Median, ok
}

// brief is a line's result in the log.
func (lr *lineResult) brief(goos string) string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(lr.Rounds)) {
		if s, ok := lr.ratio(n, lr.Line.base(goos)); ok && n != lr.Line.base(goos) {
			parts = append(parts, fmt.Sprintf("%s %.2f [%.2f-%.2f]", n, s.Median, s.Q1, s.Q3))
		}
	}
	return strings.Join(parts, ", ")
}

// machine names the processor and the kernel, not the host.
func machine() string {
	var parts []string
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		cpus := 0
		model := ""
		for l := range strings.Lines(string(b)) {
			if k, v, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(k) == "model name" {
				cpus++
				model = strings.TrimSpace(v)
			}
		}
		parts = append(parts, fmt.Sprintf("%d x %s", cpus, model))
	}
	if b, err := exec.Command("uname", "-srm").Output(); err == nil {
		parts = append(parts, strings.TrimSpace(string(b)))
	}
	return strings.Join(parts, ", ")
}
