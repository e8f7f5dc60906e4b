package main

import (
	"fmt"
	"html"
	"strings"
)

const (
	chartWidth = 760
	labelWidth = 170
	barHeight  = 13
	barGap     = 3
	headHeight = 46
	lineHead   = 24
)

// chart draws the ratios of some lines as bars with their quartiles, on a scale
// that ends where the fastest RPC does: the raw limit may reach past it.
func (s *systemResult) chart(title string, names []string) string {
	var lines []*lineResult
	longest := 1.0
	for _, n := range names {
		for _, lr := range s.Lines {
			if lr.Line.Name != n {
				continue
			}
			lines = append(lines, lr)
			for _, c := range s.Contenders {
				if v, ok := lr.ratio(c, stock); ok && c != limit(s.System) {
					longest = max(longest, v.Q3)
				}
			}
		}
	}
	if len(lines) == 0 {
		return ""
	}
	scale := float64(chartWidth-labelWidth-60) / longest
	var b strings.Builder
	y := headHeight
	for _, lr := range lines {
		y += lineHead
		fmt.Fprintf(&b, `<text x="8" y="%d" class="line">%s</text>`+"\n", y-8, html.EscapeString(lr.Line.About))
		for _, c := range s.Contenders {
			v, ok := lr.ratio(c, stock)
			if !ok || c == stock || !lr.Line.takes(s.System, c) {
				continue
			}
			class := "other"
			if strings.HasPrefix(c, ours) {
				class = "ours"
			}
			long := min(v.Median, longest)
			more := ""
			if long < v.Median {
				more = " →"
			}
			mid := y + barHeight/2
			fmt.Fprintf(&b, `<text x="%d" y="%d" class="name">%s</text><rect x="%d" y="%d" width="%.1f" height="%d" class="%s"/>`,
				labelWidth-6, y+barHeight-2, html.EscapeString(c), labelWidth, y, long*scale, barHeight, class)
			if more == "" {
				fmt.Fprintf(&b, `<path d="M%.1f %dH%.1f" class="spread"/>`, labelWidth+v.Q1*scale, mid, labelWidth+min(v.Q3, longest)*scale)
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%d" class="value">%s%s</text>`+"\n", labelWidth+max(long, min(v.Q3, longest))*scale+5, y+barHeight-2, short(v.Median), more)
			y += barHeight + barGap
		}
	}
	y += 8
	one := labelWidth + scale
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif">
<style>.title{font-size:15px;font-weight:bold}.line{font-size:12px;font-weight:bold}.name{font-size:11px;text-anchor:end}.value{font-size:11px}.other{fill:#9ab}.ours{fill:#2a6fb0}.spread{stroke:#222;stroke-width:1.5}.one{stroke:#b03030;stroke-dasharray:3 3}</style>
<rect width="%d" height="%d" fill="#fff"/>
<text x="8" y="22" class="title">%s, %s: speed as a multiple of stock grpc-go</text>
<text x="8" y="40" class="value">median of the rounds; the thin line joins the quartiles; the dashed line is grpc-go</text>
%s<path d="M%.1f %dV%d" class="one"/>
</svg>
`, chartWidth, y, chartWidth, y, html.EscapeString(title), html.EscapeString(s.System), b.String(), one, headHeight, y-4)
}
