// Package chart draws charts as SVG. They hold only numbers and names; colors
// come from the style sheet of the page that embeds them.
package chart

import (
	"fmt"
	"html"
	"math"
	"strconv"
	"strings"
)

// The size of a chart with axes and of the space for its labels.
const (
	width, height              = 720, 240
	left, right, bottom, above = 70, 30, 36, 14
	plotWidth, plotHeight      = width - left - right, height - bottom - above
	// labelWidth is the space that a label under a chart takes.
	labelWidth = 52
	// maxDots is the largest number of points that are drawn as dots and not
	// only as a line.
	maxDots = 200
)

// Count formats a number for an axis: 25k for 25000.
func Count(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(v/1e6, 'g', 4, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(v/1e3, 'g', 4, 64) + "k"
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}

// ticks returns four to six round numbers, from 0 to the first that is at least
// highest.
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

// A canvas is an unfinished chart with axes. Its scale goes from 0 to highest.
type canvas struct {
	strings.Builder
	highest float64
}

// newCanvas begins a chart; label formats a value of its vertical axis.
func newCanvas(title string, highest float64, label func(float64) string) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, html.EscapeString(title))
	marks := ticks(highest)
	c.highest = marks[len(marks)-1]
	for _, v := range marks {
		y := c.y(v)
		fmt.Fprintf(c, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, left, left+plotWidth, y, y)
		fmt.Fprintf(c, `<text x="%d" y="%.1f" text-anchor="end">%s</text>`, left-6, y+4, html.EscapeString(label(v)))
	}
	return c
}

func (c *canvas) y(v float64) float64 { return above + plotHeight*(1-v/c.highest) }

// under writes a label below the chart. In a narrow window, where letters are
// large, only every other label is shown.
func (c *canvas) under(x float64, i int, text string) {
	class := ""
	if i%2 == 1 {
		class = ` class="odd"`
	}
	fmt.Fprintf(c, `<text%s x="%.1f" y="%d" text-anchor="middle">%s</text>`, class, x, height-8, html.EscapeString(text))
}

func (c *canvas) end() string {
	c.WriteString("</svg>")
	return c.String()
}

// A Column is an upright bar: its value, the label below it, and the text of
// its tooltip.
type Column struct {
	Value      float64
	Label, Tip string
}

// Columns draws columns that stand close together. Labels that don't fit are
// left out.
func Columns(title string, columns []Column, label func(float64) string) string {
	most := 0.0
	for _, col := range columns {
		most = max(most, col.Value)
	}
	c := newCanvas(title, most, label)
	step := plotWidth / float64(len(columns))
	every := int(math.Ceil(labelWidth / step))
	for i, col := range columns {
		x, y := left+float64(i)*step, c.y(col.Value)
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f"><title>%s</title></rect>`,
			x+2, y, max(step-4, 1), c.y(0)-y, html.EscapeString(col.Tip))
		if i%every == 0 {
			c.under(x+step/2, i/every, col.Label)
		}
	}
	return c.end()
}

// Percentiles draws value, a function of the percentage from 0 to 99.999, on
// the scale of HdrHistogram's plots: each step to the right adds a nine.
func Percentiles(title string, highest float64, value func(percent float64) float64, label func(float64) string) string {
	const nines = 5
	c := newCanvas(title, highest, label)
	at := func(n float64) float64 { return left + n/nines*plotWidth }
	for i, p := range []string{"0%", "90%", "99%", "99.9%", "99.99%", "99.999%"} {
		c.under(at(float64(i)), i, p)
	}
	c.WriteString(`<polyline class="a" points="`)
	for n := 0.0; n <= nines+1e-9; n += 0.05 {
		fmt.Fprintf(c, "%.1f,%.1f ", at(n), c.y(value(100*(1-math.Pow(10, -n)))))
	}
	c.WriteString(`"/>`)
	return c.end()
}

// A Line is a row of values over time, in the color of its class.
type Line struct {
	Class, Name string
	Values      []float64
}

// Series draws lines over time, whose values were taken at the given seconds.
func Series(title string, seconds []float64, lines []Line, label func(float64) string) string {
	highest, end := 0.0, 1.0
	for i, at := range seconds {
		end = max(end, at)
		for _, l := range lines {
			highest = max(highest, l.Values[i])
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
		for i, at := range seconds {
			fmt.Fprintf(c, "%.1f,%.1f ", x(at), c.y(l.Values[i]))
		}
		c.WriteString(`"/>`)
		if len(seconds) > maxDots {
			continue
		}
		for i, at := range seconds {
			fmt.Fprintf(c, `<circle class="%s" cx="%.1f" cy="%.1f" r="3"><title>%s at %.1f s: %s</title></circle>`,
				l.Class, x(at), c.y(l.Values[i]), html.EscapeString(l.Name), at, html.EscapeString(label(l.Values[i])))
		}
	}
	return c.end()
}
