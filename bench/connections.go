package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// A connectionResult is what was measured of a contender with n connections.
type connectionResult struct {
	Contender string
	N         int
	// Client and Server are the bytes that each process keeps while idle.
	Client, Server int64
	Load           *outcome // 64 calls in flight over all of them, or nil
}

// connections measures memory and speed by the number of connections, in
// processes that have done nothing else.
func (s *system) connections(r *results, out *systemResult) {
	for _, n := range out.Contenders {
		if !(line{}).takes(s.Name, n) || n == stockAgain || isSlow(n) || isMixed(n) {
			continue
		}
		p, err := startPair(s.words, n, s.address(n))
		if err != nil {
			r.note("%s (%s), connections: %v", n, s.Name, err)
			continue
		}
		if err := s.growth(p, n, out); err != nil {
			r.note("%s (%s), connections: %v", n, s.Name, err)
		}
		p.stop()
		fmt.Fprintf(os.Stderr, "%-8s %-18s %s\n", s.Name, "connections", n)
	}
}

func (s *system) growth(p *pair, name string, out *systemResult) error {
	// Measure everything idle before any load: what a load leaves behind, mainly
	// grown stacks, would count as the cost of a connection.
	var found []*connectionResult
	for _, n := range connectionCounts {
		if _, err := p.client.ask(command{Verb: "open", Count: n}, time.Minute); err != nil {
			return err
		}
		c := &connectionResult{Contender: name, N: n}
		for _, end := range []struct {
			*process
			to *int64
		}{{p.client, &c.Client}, {p.server, &c.Server}} {
			a, err := end.ask(command{Verb: "rest"}, time.Minute)
			if err != nil {
				return err
			}
			*end.to = a.Stats.Resident
		}
		found = append(found, c)
	}
	out.Connections = append(out.Connections, found...)
	for _, c := range found {
		l := line{Kind: "unary", Size: 64, InFlight: 64, Sessions: c.N}
		for range min(s.o.rounds, 3) {
			o, err := p.load(l, s.o.time)
			if err != nil {
				return err
			}
			if c.Load == nil || l.score(o) > l.score(c.Load) {
				c.Load = o // the best of three: other programs can only slow it down
			}
		}
	}
	return nil
}

// idle returns the bytes that one more connection costs a process that has one.
func (s *systemResult) idle(name string) (client, server float64, ok bool) {
	var first, last *connectionResult
	for _, c := range s.Connections {
		if c.Contender == name {
			if first == nil {
				first = c
			}
			last = c
		}
	}
	if first == nil || last.N <= first.N {
		return 0, 0, false
	}
	n := float64(last.N - first.N)
	return float64(last.Client-first.Client) / n, float64(last.Server-first.Server) / n, true
}

func (s *systemResult) connectionTables(w io.Writer) {
	if len(s.Connections) == 0 {
		return
	}
	bc, bs, _ := s.idle(stock)
	fmt.Fprintf(w, "\nA connection, idle after one call: KB of each process (as a multiple of %s); then calls a second, 64 in flight over all connections.\n\n| | client | server |", stock)
	var counts []int
	for _, c := range s.Connections {
		if c.Contender == s.Connections[0].Contender {
			counts = append(counts, c.N)
			fmt.Fprintf(w, " on %d |", c.N)
		}
	}
	fmt.Fprint(w, "\n|---|---|---|")
	for range counts {
		fmt.Fprint(w, "---|")
	}
	for _, n := range s.Contenders {
		c, sv, ok := s.idle(n)
		if !ok {
			continue
		}
		fmt.Fprintf(w, "\n| %s | %.1f (%s) | %.1f (%s) |", n, c/1e3, multiple(c, bc), sv/1e3, multiple(sv, bs))
		for _, count := range counts {
			cell := "–"
			for _, x := range s.Connections {
				if x.Contender == n && x.N == count && x.Load != nil {
					cell = fmt.Sprintf("%.0f", float64(x.Load.Ops)/x.Load.Elapsed.Seconds())
				}
			}
			fmt.Fprintf(w, " %s |", cell)
		}
	}
	fmt.Fprintln(w)
}

func multiple(v, base float64) string {
	if base <= 0 {
		return "–"
	}
	return short(v / base)
}
