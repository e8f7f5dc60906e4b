package chart

import (
	"fmt"
	"html"
	"strings"
)

// The size of a chart of bars and of its parts.
const (
	barsWidth  = 760
	nameWidth  = 170
	valueWidth = 60
	barHeight  = 13
	barGap     = 3
	headHeight = 46
	groupHead  = 24
)

// Bars is a chart of horizontal bars, in groups, as a file of its own.
type Bars struct {
	Title, Note string
	Groups      []Group
	// Longest is the value at the end of the scale. A longer bar is cut off
	// there and ends in an arrow.
	Longest float64
	// Mark is where a dashed line crosses all bars.
	Mark float64
	// Label formats a value.
	Label func(float64) string
}

// A Group is bars under a title of their own.
type Group struct {
	Title string
	Bars  []Bar
}

// A Bar is a value and its range.
type Bar struct {
	Name             string
	Value, Low, High float64
	Strong           bool // in the stronger color
}

// SVG draws the chart.
func (c Bars) SVG() string {
	scale := float64(barsWidth-nameWidth-valueWidth) / c.Longest
	var b strings.Builder
	y := headHeight
	for _, g := range c.Groups {
		y += groupHead
		fmt.Fprintf(&b, `<text x="8" y="%d" class="line">%s</text>`+"\n", y-8, html.EscapeString(g.Title))
		for _, bar := range g.Bars {
			class, more := "other", ""
			if bar.Strong {
				class = "ours"
			}
			long, high := min(bar.Value, c.Longest), min(bar.High, c.Longest)
			if long < bar.Value {
				more = " →"
			}
			fmt.Fprintf(&b, `<text x="%d" y="%d" class="name">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/>`,
				nameWidth-6, y+barHeight-2, html.EscapeString(bar.Name), nameWidth, y, long*scale, barHeight, class)
			if more == "" {
				fmt.Fprintf(&b, `<path d="M%.1f %dH%.1f" class="spread"/>`, nameWidth+bar.Low*scale, y+barHeight/2, nameWidth+high*scale)
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="value">%s%s</text>`+"\n",
				nameWidth+max(long, high)*scale+5, y+barHeight-2, html.EscapeString(c.Label(bar.Value)), more)
			y += barHeight + barGap
		}
	}
	y += 8
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">
<style>.title{font-size:15px;font-weight:bold}.line{font-size:12px;font-weight:bold}.name{font-size:11px;text-anchor:end}.value{font-size:11px}.other{fill:#9ab}.ours{fill:#2a6fb0}.spread{stroke:#222;stroke-width:1.5}.one{stroke:#b03030;stroke-dasharray:3 3}</style>
<rect width="%d" height="%d" fill="#fff"/>
<text x="8" y="22" class="title">%s</text>
<text x="8" y="40" class="value">%s</text>
%s<path d="M%.1f %dV%d" class="one"/>
</svg>
`, barsWidth, y, barsWidth, y, html.EscapeString(c.Title), html.EscapeString(c.Note), b.String(), nameWidth+c.Mark*scale, headHeight, y-4)
}
