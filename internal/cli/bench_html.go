package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

//go:embed bench.html
var benchHTML string

// page is what bench.html shows.
type page struct {
	*summary
	Load      string
	StartedAt string
	Charts    []chart
}

type chart struct {
	Title string
	Lines []line // what the colors stand for, if there is more than one
	SVG   template.HTML
}

// A line is a row of values in a chart.
type line struct {
	Class string // its color
	Name  string
	value func(pointJSON) float64
}

// The size of a chart and of the room for its labels.
const (
	chartWidth, chartHeight    = 720, 240
	left, right, bottom, above = 70, 30, 36, 14
	plotWidth, plotHeight      = chartWidth - left - right, chartHeight - bottom - above
	// labelWidth is the room that a label under a chart takes.
	labelWidth = 52
	// maxDots is how many points are drawn as such and not only as a line.
	maxDots = 200
)

// writeHTML writes a page that needs nothing but itself: no script, no font, no
// style from elsewhere.
func writeHTML(w io.Writer, s *summary) error {
	t, err := template.New("bench").Funcs(template.FuncMap{"us": spanUS}).Parse(benchHTML)
	if err != nil {
		return err
	}
	p := page{summary: s, Load: s.load(), StartedAt: s.Started.Format(time.DateTime) + " UTC"}
	if s.Calls > 0 {
		latencies := []line{
			{"a", "p50", func(p pointJSON) float64 { return p.P50 }},
			{"b", "p99", func(p pointJSON) float64 { return p.P99 }},
		}
		p.Charts = []chart{
			{"Latency histogram", nil, histogramSVG(s)},
			{"Latency by percentile", nil, percentileSVG(s)},
			{"Latency over time", latencies, seriesSVG("Latency over time", s.Series, latencies, spanUS)},
		}
	}
	if s.Calls+s.Failed() > 0 {
		calls := []line{{"a", "calls", func(p pointJSON) float64 { return float64(p.Calls) }}}
		if s.Failed() > 0 {
			calls = append(calls, line{"b", "failed", func(p pointJSON) float64 { return float64(p.Errors) }})
		}
		c := chart{"Calls a second over time", nil, seriesSVG("Calls a second over time", perSecond(s.Series), calls, count)}
		if len(calls) > 1 {
			c.Lines = calls
		}
		p.Charts = append(p.Charts, c)
	}
	return t.Execute(w, p)
}

// perSecond makes counts of calls into calls a second: the last point may stand
// for more or less than one.
func perSecond(points []pointJSON) []pointJSON {
	out := make([]pointJSON, len(points))
	before := 0.0
	for i, p := range points {
		seconds := max(p.At-before, 1e-3)
		before = p.At
		p.Calls, p.Errors = int64(float64(p.Calls)/seconds), int64(float64(p.Errors)/seconds)
		out[i] = p
	}
	return out
}

// count is a number for an axis: 25k for 25000.
func count(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// ticks are round numbers from 0 to the first that isn't less than highest, four
// to six of them.
func ticks(highest float64) []float64 {
	if highest <= 0 {
		highest = 1
	}
	unit := math.Pow(10, math.Floor(math.Log10(highest/5)))
	step := 10 * unit
	for _, f := range []float64{1, 2, 5} {
		if highest <= 5*f*unit {
			step = f * unit
			break
		}
	}
	all := []float64{0}
	for n := 1.0; all[len(all)-1] < highest; n++ {
		all = append(all, n*step)
	}
	return all
}

// A canvas is a chart in the making. Its scale goes from 0 to highest.
type canvas struct {
	strings.Builder
	highest float64
}

func newCanvas(title string, highest float64, label func(float64) string) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, chartWidth, chartHeight, template.HTMLEscapeString(title))
	marks := ticks(highest)
	c.highest = marks[len(marks)-1]
	for _, v := range marks {
		y := c.y(v)
		fmt.Fprintf(c, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, left+plotWidth, y, y)
		fmt.Fprintf(c, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, y+4, template.HTMLEscapeString(label(v)))
	}
	return c
}

func (c *canvas) y(v float64) float64 { return above + plotHeight*(1-v/c.highest) }

// under writes a label below the chart. Where the window is narrow, and letters
// are large therefore, only the even ones are shown.
func (c *canvas) under(x float64, i int, text string) {
	class := ""
	if i%2 == 1 {
		class = ` class="odd"`
	}
	fmt.Fprintf(c, `<text%s x="%.1f" y="%d" text-anchor="middle">%s</text>`, class, x, chartHeight-8, template.HTMLEscapeString(text))
}

// end is the whole chart: numbers, and names of this program's own.
func (c *canvas) end() template.HTML {
	c.WriteString("</svg>")
	return template.HTML(c.String()) //nolint:gosec // nothing in it is anybody else's
}

func histogramSVG(s *summary) template.HTML {
	var most int64
	for _, h := range s.Histogram {
		most = max(most, h.Count)
	}
	c := newCanvas("Latency histogram", float64(most), count)
	step := plotWidth / float64(len(s.Histogram))
	every := int(math.Ceil(labelWidth / step))
	for i, h := range s.Histogram {
		x, y := left+float64(i)*step, c.y(float64(h.Count))
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>up to %s: %d calls</title></rect>`,
			x+2, y, max(step-4, 1), c.y(0)-y, spanUS(h.UpTo), h.Count)
		if i%every == 0 {
			c.under(x+step/2, i/every, "≤"+spanUS(h.UpTo))
		}
	}
	return c.end()
}

// percentileSVG has the scale of HdrHistogram's plots: each step to the right is
// one nine more.
func percentileSVG(s *summary) template.HTML {
	const nines = 5
	c := newCanvas("Latency by percentile", s.Max, spanUS)
	at := func(n float64) float64 { return left + n/nines*plotWidth }
	for i, p := range []string{"0%", "90%", "99%", "99.9%", "99.99%", "99.999%"} {
		c.under(at(float64(i)), i, p)
	}
	c.WriteString(`<polyline class="a" points="`)
	for n := 0.0; n <= nines+1e-9; n += 0.05 {
		fmt.Fprintf(c, "%.1f,%.1f ", at(n), c.y(us(s.result.Percentile(100*(1-math.Pow(10, -n))))))
	}
	c.WriteString(`"/>`)
	return c.end()
}

func seriesSVG(title string, points []pointJSON, lines []line, label func(float64) string) template.HTML {
	highest, end := 0.0, 1.0
	for _, p := range points {
		end = max(end, p.At)
		for _, l := range lines {
			highest = max(highest, l.value(p))
		}
	}
	c := newCanvas(title, highest, label)
	x := func(at float64) float64 { return left + at/end*plotWidth }
	for i, at := range ticks(end) {
		if at <= end {
			c.under(x(at), i, strconv.FormatFloat(at, 'g', 6, 64)+" s")
		}
	}
	for _, l := range lines {
		fmt.Fprintf(c, `<polyline class="%s" points="`, l.Class)
		for _, p := range points {
			fmt.Fprintf(c, "%.1f,%.1f ", x(p.At), c.y(l.value(p)))
		}
		c.WriteString(`"/>`)
		if len(points) > maxDots {
			continue
		}
		for _, p := range points {
			fmt.Fprintf(c, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%s at %.1f s: %s</title></circle>`,
				l.Class, x(p.At), c.y(l.value(p)), l.Name, p.At, label(l.value(p)))
		}
	}
	return c.end()
}
