package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// markdown writes the tables of a run and, if there are charts, links to them.
func (r *results) markdown(w io.Writer, charts bool) {
	fmt.Fprintln(w, r.about())
	for _, s := range r.Systems {
		fmt.Fprintf(w, "\n## %s\n", s.title())
		s.ratios(w)
		for _, g := range chartGroups {
			if !charts {
				break
			}
			fmt.Fprintf(w, "\n![%s](%s-%s.svg)\n", g.title, s.System, g.file)
		}
		s.figures(w)
		s.connectionTables(w)
	}
	for _, n := range r.Notes {
		fmt.Fprintf(w, "\nNot measured: %s.\n", n)
	}
}

// A digest is a table of some of the results in performance.md.
type digest struct {
	name       string   // of its marks on the page
	lines      []string // nil for all that its first contender has
	contenders []string
	full       bool // with quartiles, and the pairs with .NET
}

var digests = []digest{
	{
		name:       "summary",
		lines:      []string{"unary-64/1", "unary-64/64", "unary-64K/1", "receive-64K", "send-1M", "receive-64", "dial"},
		contenders: []string{ours, engineName, "ttrpc", "drpc", "connect-go", dotnetName},
	},
	{
		name:       "fastgrpc",
		contenders: []string{engineName, "fastgrpc client", "fastgrpc server", limit("")},
		full:       true,
	},
}

// digest writes a digest's table.
func (s *systemResult) digest(w io.Writer, d digest) {
	fmt.Fprintf(w, "| work | %s | %s |\n|---|---|%s", stock, strings.Join(d.contenders, " | "), strings.Repeat("---|", len(d.contenders)))
	for _, lr := range s.Lines {
		_, has := lr.ratio(d.contenders[0], stock)
		if !has || d.lines != nil && !slices.Contains(d.lines, lr.Line.Name) {
			continue
		}
		fmt.Fprintf(w, "\n| %s | %s |", lr.Line.About, lr.absolute(stock))
		for _, n := range d.contenders {
			cell := "–"
			if v, ok := lr.ratio(n, stock); ok && d.full {
				cell = v.String()
			} else if ok {
				cell = short(v.Median) + v.mark()
			}
			fmt.Fprintf(w, " %s |", cell)
		}
	}
	fmt.Fprintln(w)
	if d.full {
		s.mixed(w)
	}
}

func (s *systemResult) title() string {
	t := s.System
	if s.Under != "" {
		t += " under " + s.Under
	}
	return fmt.Sprintf("%s (%s, GOMAXPROCS=%d)", t, s.Go, s.Procs)
}

func (s spread5) String() string {
	return fmt.Sprintf("%s [%s-%s]%s", short(s.Median), short(s.Q1), short(s.Q3), s.mark())
}

// mark returns a mark for a spread that covers 1.
func (s spread5) mark() string {
	if s.over() == 0 {
		return " ≈"
	}
	return ""
}

// short returns a number with about three significant digits.
func short(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// ratios writes the speed of each contender as a multiple of the base.
func (s *systemResult) ratios(w io.Writer) {
	var rest []*lineResult
	var names []string
	for _, n := range s.Contenders {
		if n != stock && !isMixed(n) && (line{}).takes(s.System, n) {
			names = append(names, n)
		}
	}
	fmt.Fprintf(w, "\nSpeed as a multiple of %s in the same round: median [quartiles]; ≈ means that the quartiles cover 1.\n\n| work | %s |", stock, stock)
	for _, n := range names {
		fmt.Fprintf(w, " %s |", n)
	}
	fmt.Fprint(w, "\n|---|---|")
	fmt.Fprint(w, strings.Repeat("---|", len(names)))
	for _, lr := range s.Lines {
		if lr.Line.Transport {
			rest = append(rest, lr)
			continue
		}
		fmt.Fprintf(w, "\n| %s | %s |", lr.Line.About, lr.absolute(stock))
		for _, n := range names {
			fmt.Fprintf(w, " %s |", lr.cell(n, s.System))
		}
	}
	fmt.Fprintln(w)
	s.mixed(w)
	for _, lr := range rest {
		base := lr.Line.base(s.System)
		if v, ok := lr.ratio(transportName, base); ok {
			fmt.Fprintf(w, "\n%s: %s %s times %s (%s; %s), %s allocations a message at the client.\n", lr.Line.About, transportName, v, base,
				lr.absolute(transportName), lr.absolute(base), lr.clientAllocs(transportName)+" against "+lr.clientAllocs(base))
		}
	}
}

// mixed writes how fast each engine is when the other end is .NET's.
func (s *systemResult) mixed(w io.Writer) {
	for _, lr := range s.Lines {
		for _, m := range mixes {
			if v, ok := lr.ratio(m.name, m.base); ok {
				fmt.Fprintf(w, "\n%s, %s (%s): %s times %s (%s; %s).\n", lr.Line.About, m.name, m.about, v, m.base, lr.absolute(m.name), lr.absolute(m.base))
			}
		}
	}
}

func (lr *lineResult) cell(name, goos string) string {
	if v, ok := lr.ratio(name, lr.Line.base(goos)); ok {
		return v.String()
	}
	if len(lr.Rounds[name]) > 0 {
		return lr.absolute(name) // nothing to compare it with
	}
	return "–"
}

// absolute returns a contender's own figure, which means something only next to
// others in the table.
func (lr *lineResult) absolute(name string) string {
	l := lr.Line
	v, ok := lr.figure(name, func(o *outcome) float64 {
		switch {
		case l.streams() && l.Size >= 1<<10:
			return float64(o.Ops) * float64(l.Size) / o.Elapsed.Seconds() / 1e6
		case l.byTail():
			return float64(o.P99.Nanoseconds()) / 1e3
		case l.bySpeed():
			return float64(o.Ops) / o.Elapsed.Seconds()
		}
		return float64(o.P50.Nanoseconds()) / 1e3
	})
	switch {
	case !ok:
		return "–"
	case l.streams() && l.Size >= 1<<10:
		return short(v) + " MB/s"
	case l.bySpeed() && !l.byTail():
		return fmt.Sprintf("%.0f/s", v)
	}
	return short(v) + " µs"
}

func (lr *lineResult) clientAllocs(name string) string {
	v, ok := lr.figure(name, func(o *outcome) float64 { return float64(o.Client.Allocs) / float64(max(o.Ops, 1)) })
	if !ok {
		return "–"
	}
	return short(v)
}

// figures writes what a call costs.
func (s *systemResult) figures(w io.Writer) {
	fmt.Fprint(w, "\nCost of a call, client and server together: microseconds of processor time, allocations, context switches.\n\n| work |")
	var names []string
	for _, n := range s.Contenders {
		if n != stockAgain && !isMixed(n) && (line{}).takes(s.System, n) {
			names = append(names, n)
			fmt.Fprintf(w, " %s |", n)
		}
	}
	fmt.Fprint(w, "\n|---|")
	fmt.Fprint(w, strings.Repeat("---|", len(names)))
	for _, lr := range s.Lines {
		if lr.Line.Transport {
			continue
		}
		fmt.Fprintf(w, "\n| %s |", lr.Line.About)
		for _, n := range names {
			per := func(f func(stats) float64) string {
				v, ok := lr.figure(n, func(o *outcome) float64 { return f(o.Client.plus(o.Server)) / float64(max(o.Ops, 1)) })
				if !ok || n == dotnetName { // .NET's processes aren't counted
					return "–"
				}
				return short(v)
			}
			fmt.Fprintf(w, " %s; %s; %s |",
				per(func(s stats) float64 { return float64(s.CPU.Nanoseconds()) / 1e3 }),
				per(func(s stats) float64 { return float64(s.Allocs) }),
				per(func(s stats) float64 { return float64(s.Switches) }))
		}
	}
	fmt.Fprintln(w)
}
