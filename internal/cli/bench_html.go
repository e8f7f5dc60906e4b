package cli

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
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
	SVG   template.HTML
}

// The size of a chart and of the room for its labels.
const (
	chartWidth, chartHeight = 720, 240
	left, bottom, top       = 70, 30, 10
)

// writeHTML writes a page that needs nothing but itself: no script, no font, no
// style from elsewhere.
func writeHTML(w io.Writer, s *summary) error {
	t, err := template.New("bench").Funcs(template.FuncMap{"us": spanUS}).Parse(benchHTML)
	if err != nil {
		return err
	}
	p := page{summary: s, Load: s.load(), StartedAt: s.Started.Format(time.RFC3339)}
	if s.Calls > 0 {
		p.Charts = []chart{
			{"Latency histogram", histogramSVG(s)}, {"Latency by percentile", percentileSVG(s)},
			{"Calls a second over time", seriesSVG(s, []line{{"calls", func(p pointJSON) float64 { return float64(p.Calls) }}}, func(v float64) string { return fmt.Sprintf("%.0f", v) })},
			{"Latency over time", seriesSVG(s, []line{
				{"p50", func(p pointJSON) float64 { return p.P50 }}, {"p99", func(p pointJSON) float64 { return p.P99 }},
			}, spanUS)},
		}
	}
	return t.Execute(w, p)
}

type line struct {
	name  string
	value func(pointJSON) float64
}

// svg begins a chart with a scale from 0 to highest.
func svg(b *strings.Builder, highest float64, label func(float64) string) {
	fmt.Fprintf(b, `<svg viewBox="0 0 %d %d" role="img">`, chartWidth, chartHeight)
	for i := range 5 {
		v := highest * float64(i) / 4
		y := yOf(v, highest)
		fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, chartWidth, y, y, left-6, y+4, template.HTMLEscapeString(label(v)))
	}
}

func yOf(v, highest float64) float64 {
	if highest <= 0 {
		return chartHeight - bottom
	}
	return chartHeight - bottom - v/highest*(chartHeight-bottom-top)
}

func histogramSVG(s *summary) template.HTML {
	var most int64
	for _, h := range s.Histogram {
		most = max(most, h.Count)
	}
	var b strings.Builder
	svg(&b, float64(most), func(v float64) string { return fmt.Sprintf("%.0f", v) })
	step := float64(chartWidth-left) / float64(len(s.Histogram))
	for i, h := range s.Histogram {
		x, y := left+float64(i)*step, yOf(float64(h.Count), float64(most))
		fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>up to %s: %d calls</title></rect><text x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			x+2, y, max(step-4, 1), chartHeight-bottom-y, spanUS(h.UpTo), h.Count, x+step/2, chartHeight-10, spanUS(h.UpTo))
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // numbers only
}

// percentileSVG has the scale of HdrHistogram's plots: each step to the right is
// one nine more.
func percentileSVG(s *summary) template.HTML {
	const nines = 5
	var b strings.Builder
	svg(&b, s.Max, spanUS)
	at := func(p float64) float64 {
		n := -math.Log10(1 - p/100)
		return left + min(n/nines, 1)*(chartWidth-left-20)
	}
	for _, p := range []float64{0, 90, 99, 99.9, 99.99} {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%v%%</text>`, at(p), chartHeight-10, p)
	}
	b.WriteString(`<polyline class="a" points="`)
	for n := 0.0; n <= nines; n += 0.05 {
		p := 100 * (1 - math.Pow(10, -n))
		fmt.Fprintf(&b, "%.1f,%.1f ", at(p), yOf(us(s.result.Percentile(p)), s.Max))
	}
	b.WriteString(`"/></svg>`)
	return template.HTML(b.String()) //nolint:gosec // numbers only
}

func seriesSVG(s *summary, lines []line, label func(float64) string) template.HTML {
	highest, end := 0.0, 1.0
	for _, p := range s.Series {
		end = max(end, p.At)
		for _, l := range lines {
			highest = max(highest, l.value(p))
		}
	}
	var b strings.Builder
	svg(&b, highest, label)
	x := func(at float64) float64 { return left + at/end*(chartWidth-left-20) }
	for i := range 5 {
		at := end * float64(i) / 4
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%.1f s</text>`, x(at), chartHeight-10, at)
	}
	for i, l := range lines {
		class := string(rune('a' + i))
		fmt.Fprintf(&b, `<polyline class="%s" points="`, class)
		for _, p := range s.Series {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(p.At), yOf(l.value(p), highest))
		}
		b.WriteString(`"/>`)
		for _, p := range s.Series {
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%s at %.1f s: %s</title></circle>`, class, x(p.At), yOf(l.value(p), highest), l.name, p.At, label(l.value(p)))
		}
		fmt.Fprintf(&b, `<text class="%s" x="%d" y="%d" text-anchor="end">%s</text>`, class, chartWidth-4, top+14*(i+1), l.name)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) //nolint:gosec // numbers and names of our own only
}
