package main

import (
	"slices"
	"strings"

	"github.com/grpcpipe/grpcpipe/internal/chart"
)

// chart draws the ratios of some lines as bars with their quartiles, on a scale
// that ends where the fastest RPC does: the raw limit may reach past it.
func (s *systemResult) chart(title string, names []string) string {
	c := chart.Bars{
		Title: title + ", " + s.System + ": speed as a multiple of stock grpc-go",
		Note:  "median of the rounds; the thin line joins the quartiles; the dashed line is grpc-go",
		Mark:  1, Longest: 1, Label: short,
	}
	for _, n := range names {
		i := slices.IndexFunc(s.Lines, func(lr *lineResult) bool { return lr.Line.Name == n })
		if i < 0 {
			continue
		}
		lr := s.Lines[i]
		g := chart.Group{Title: lr.Line.About}
		for _, name := range s.Contenders {
			v, ok := lr.ratio(name, stock)
			if !ok {
				continue
			}
			if name != limit(s.System) {
				c.Longest = max(c.Longest, v.Q3)
			}
			if name != stock && lr.Line.takes(s.System, name) {
				g.Bars = append(g.Bars, chart.Bar{Name: name, Value: v.Median, Low: v.Q1, High: v.Q3, Strong: strings.HasPrefix(name, ours)})
			}
		}
		c.Groups = append(c.Groups, g)
	}
	if c.Groups == nil {
		return ""
	}
	return c.SVG()
}
