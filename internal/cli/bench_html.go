package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/chart"
)

//go:embed bench.html
var benchHTML string

// page is what bench.html shows.
type page struct {
	*summary
	Load      string
	StartedAt string
	Charts    []figure
}

// A figure is a chart on the page.
type figure struct {
	Title string
	Lines []chart.Line // what the colors stand for, if there is more than one
	SVG   template.HTML
}

// writeHTML writes a page that needs nothing but itself: no script, no font, no
// style from elsewhere.
func writeHTML(w io.Writer, s *summary) error {
	t, err := template.New("bench").Funcs(template.FuncMap{"us": spanUS}).Parse(benchHTML)
	if err != nil {
		return err
	}
	p := page{summary: s, Load: s.load(), StartedAt: s.Started.Format(time.DateTime) + " UTC"}
	add := func(title string, lines []chart.Line, svg string) {
		p.Charts = append(p.Charts, figure{title, lines, template.HTML(svg)}) //nolint:gosec // chart escapes its texts
	}
	row := func(value func(pointJSON) float64) []float64 {
		var values []float64
		for _, p := range s.Series {
			values = append(values, value(p))
		}
		return values
	}
	seconds := row(func(p pointJSON) float64 { return p.At })
	if s.Calls > 0 {
		var columns []chart.Column
		for _, h := range s.Histogram {
			columns = append(columns, chart.Column{Value: float64(h.Count), Label: "≤" + spanUS(h.UpTo),
				Tip: fmt.Sprintf("up to %s: %d calls", spanUS(h.UpTo), h.Count)})
		}
		percentile := func(percent float64) float64 { return us(s.result.Percentile(percent)) }
		latencies := []chart.Line{
			{Class: "a", Name: "p50", Values: row(func(p pointJSON) float64 { return p.P50 })},
			{Class: "b", Name: "p99", Values: row(func(p pointJSON) float64 { return p.P99 })},
		}
		add("Latency histogram", nil, chart.Columns("Latency histogram", columns, chart.Count))
		add("Latency by percentile", nil, chart.Percentiles("Latency by percentile", s.Max, percentile, spanUS))
		add("Latency over time", latencies, chart.Series("Latency over time", seconds, latencies, spanUS))
	}
	if s.Calls+s.Failed() > 0 {
		calls := []chart.Line{{Class: "a", Name: "calls", Values: perSecond(seconds, row(func(p pointJSON) float64 { return float64(p.Calls) }))}}
		var names []chart.Line
		if s.Failed() > 0 {
			calls = append(calls, chart.Line{Class: "b", Name: "failed", Values: perSecond(seconds, row(func(p pointJSON) float64 { return float64(p.Errors) }))})
			names = calls
		}
		add("Calls a second over time", names, chart.Series("Calls a second over time", seconds, calls, chart.Count))
	}
	return t.Execute(w, p)
}

// perSecond makes counts into counts a second: the last point may stand for more
// or less than one.
func perSecond(at, counts []float64) []float64 {
	before := 0.0
	for i := range counts {
		counts[i] = float64(int64(counts[i] / max(at[i]-before, 1e-3)))
		before = at[i]
	}
	return counts
}
