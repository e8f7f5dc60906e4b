package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// note prints in one line what could not be measured, and adds it to the results.
func (r *results) note(format string, args ...any) {
	s := fmt.Sprintf(format, args...)
	if slices.Contains(r.Notes, s) {
		return
	}
	r.Notes = append(r.Notes, s)
	fmt.Fprintln(os.Stderr, "bench:", s)
}

// measure runs the whole benchmark.
func measure(o options, lines []line, cmd string) (*results, error) {
	lines, err := chosen(lines, o.lines)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	words, err := self()
	if err != nil {
		return nil, err
	}
	r := newResults(cmd, o)
	native := &system{Name: runtime.GOOS, words: words, dir: dir, names: names()}
	systems := []*system{native}
	if w := r.wine(o, dir); w != nil {
		systems = append(systems, w)
	}
	for _, s := range systems {
		if !slices.Contains(s.names, dotnetName) {
			r.note("no .NET pair on %s: %s doesn't name a folder with its program (see interop/dotnet)", s.Name, peerEnv)
		}
	}
	r.pick(o.only, systems)
	began := time.Now()
	for _, s := range systems {
		s.o = o
		if s.Under != "" {
			// The Wine server takes part in every call: more rounds don't reduce the noise.
			s.o.rounds = (o.rounds + 2) / 3
		}
		r.Systems = append(r.Systems, s.measure(r, lines))
	}
	r.Took = time.Since(began).Round(time.Second)
	return r, nil
}

// wine returns the system of Windows programs on this machine, if there is one.
func (r *results) wine(o options, dir string) *system {
	if o.wine == "" || runtime.GOOS == "windows" {
		return nil
	}
	if _, err := exec.Command(o.wine, "path").Output(); err != nil {
		r.note("Windows is left out: there is no Wine here; make wine installs it")
		return nil
	}
	exe := filepath.Join(dir, "bench.exe")
	build := exec.Command("go", "build", "-o", exe, ".")
	build.Env = append(os.Environ(), "GOOS=windows")
	if out, err := build.CombinedOutput(); err != nil {
		first, _, _ := strings.Cut(string(out), "\n")
		r.note("Windows is left out: go build failed: %v: %s", err, first)
		return nil
	}
	s := &system{Name: "windows", words: []string{o.wine, "run", exe}, dir: dir}
	out, err := exec.Command(o.wine, "run", exe, childVerb, "list").Output()
	if err == nil {
		err = json.Unmarshal(out, &s.names)
	}
	if err != nil {
		r.note("Windows is left out: Wine can't run this program: %v", err)
		return nil
	}
	if v, err := exec.Command(o.wine, "version").Output(); err == nil {
		s.Under = strings.TrimSpace(string(v))
	}
	return s
}

// pick keeps the contenders of -only, and the one that the others are compared
// with.
func (r *results) pick(only string, systems []*system) {
	if only == "" {
		return
	}
	want := strings.Split(only, ",")
	for i := range want {
		want[i] = strings.TrimSpace(want[i])
		if !slices.ContainsFunc(systems, func(s *system) bool { return slices.Contains(s.names, want[i]) }) {
			r.note("there is no contender %q; there are: %s", want[i], strings.Join(systems[0].names, ", "))
		}
	}
	for _, s := range systems {
		s.names = slices.DeleteFunc(s.names, func(n string) bool { return !slices.Contains(want, n) && n != stock })
	}
}

// A system is where contenders run: this one, or Windows under Wine.
type system struct {
	Name  string
	Under string
	words []string
	dir   string
	names []string
	o     options
	next  int
}

// address returns a new address for a contender.
func (s *system) address(name string) string {
	s.next++
	id := fmt.Sprintf("bench-%d-%d", os.Getpid(), s.next)
	switch network(s.Name, name) {
	case "tcp":
		return "127.0.0.1:0"
	case "unix":
		return filepath.Join(s.dir, id+".sock")
	}
	if s.Name != "windows" {
		// The same kind of file for all, so that no contender has a longer path.
		return filepath.Join(s.dir, id+".sock")
	}
	return id
}

// isSlow reports whether each measurement of a contender starts a program. Such a
// contender takes part in every fourth round.
func isSlow(name string) bool {
	c := find(name)
	return c != nil && c.run != nil
}

// network returns what a contender listens on. Those that this build lacks are
// another system's, on pipes.
func network(goos, name string) string {
	if goos == "windows" && (name == stock || name == stockAgain) {
		return "tcp"
	}
	if c := find(name); c != nil {
		return c.network
	}
	return "pipe"
}

func (s *system) measure(r *results, lines []line) *systemResult {
	out := &systemResult{System: s.Name, Under: s.Under}
	pairs := map[string]*pair{}
	defer func() {
		for _, p := range pairs {
			p.stop()
		}
	}()
	for _, n := range s.names {
		if !slices.ContainsFunc(lines, func(l line) bool { return l.takes(s.Name, n) }) {
			continue
		}
		p, err := startPair(s.words, n, s.address(n))
		if err != nil {
			r.note("%s (%s): %v; it is left out", n, s.Name, err)
			continue
		}
		pairs[n] = p
		out.Contenders = append(out.Contenders, n)
		out.Procs, out.Go = p.client.first.Procs, p.client.first.Go
	}
	for _, l := range lines {
		if lr := s.line(r, l, pairs); lr != nil {
			out.Lines = append(out.Lines, lr)
		}
	}
	if s.o.memory {
		s.connections(r, out)
	}
	return out
}

// line measures one line of all contenders in turn, round after round. Each round
// begins with a different one.
func (s *system) line(r *results, l line, pairs map[string]*pair) *lineResult {
	var in []string
	for _, n := range s.names {
		if s.o.quick && !l.Transport && n == limit(s.Name) {
			continue // the guard leaves out the limit
		}
		if pairs[n] != nil && l.takes(s.Name, n) {
			in = append(in, n)
		}
	}
	lr := &lineResult{Line: l, Rounds: map[string][]*outcome{}}
	for round := range s.o.rounds {
		for i := range in {
			n := in[(i+round)%len(in)]
			p := pairs[n]
			if p == nil || isSlow(n) && round%4 != 0 {
				continue
			}
			var err error
			if l.Transport && round > 0 {
				// A process keeps its luck with memory layout and processors,
				// and here that luck outweighs the differences to measure.
				p.stop()
				if p, err = startPair(s.words, n, s.address(n)); err == nil {
					pairs[n] = p
				}
			}
			var o *outcome
			if err == nil {
				o, err = p.load(l, s.o.time)
			}
			switch {
			case err == nil:
				for len(lr.Rounds[n]) < round {
					lr.Rounds[n] = append(lr.Rounds[n], nil)
				}
				lr.Rounds[n] = append(lr.Rounds[n], o)
				continue
			case err == errNot:
			default:
				r.note("%s (%s), %s: %v; the rest of its lines is left out", n, s.Name, l.Name, err)
				pairs[n].stop()
				pairs[n] = nil
				delete(pairs, n)
			}
			delete(lr.Rounds, n)
			in = slices.DeleteFunc(slices.Clone(in), func(m string) bool { return m == n && err == errNot })
			if len(in) == 0 {
				return nil
			}
		}
	}
	fmt.Fprintf(os.Stderr, "%-8s %-18s %s\n", s.Name, l.Name, lr.brief(s.Name))
	return lr
}
