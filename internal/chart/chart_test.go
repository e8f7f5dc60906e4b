package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// The marks of an axis are round, few, and reach over what is shown.
func TestTicks(t *testing.T) {
	for _, v := range []float64{0, 1e-3, 0.4, 1, 3, 7, 8.001, 48.69, 99, 100, 101, 127062, 3.6e3} {
		all := ticks(v)
		if n := len(all); n < 3 || n > 6 || all[0] != 0 || all[n-1] < v || v > 0 && all[n-2] >= v {
			t.Errorf("%v: %v", v, all)
		}
	}
	for v, want := range map[float64]string{0: "0", 500: "500", 5000: "5000", 25000: "25k", 150000: "150k", 1.5e6: "1.5M"} {
		if got := Count(v); got != want {
			t.Errorf("%v: %s", v, got)
		}
	}
}

// TestCharts: each chart is well-formed whatever it is called, and has the marks
// that it should.
func TestCharts(t *testing.T) {
	const name = `<a & "b">`
	tests := []struct {
		name, svg string
		want      map[string]int // elements by name
	}{
		{"columns", Columns(name, []Column{{1, name, name}, {3, "c", "d"}}, Count), map[string]int{"rect": 2, "title": 2}},
		{"many columns", Columns(name, make([]Column, 100), Count), map[string]int{"rect": 100, "text": 6 + 12}},
		{"percentiles", Percentiles(name, 9, func(p float64) float64 { return p / 100 }, Count), map[string]int{"polyline": 1}},
		{"series", Series(name, []float64{1, 2}, []Line{{"a", name, []float64{1, 2}}, {"b", name, []float64{0, 5}}}, Count),
			map[string]int{"polyline": 2, "circle": 4}},
		{"long series", Series(name, make([]float64, 300), []Line{{"a", "x", make([]float64, 300)}}, Count), map[string]int{"circle": 0}},
		{"bars", Bars{Title: name, Note: name, Longest: 2, Mark: 1, Label: Count, Groups: []Group{
			{name, []Bar{{name, 1, 0.5, 1.5, true}, {name, 9, 8, 10, false}}},
		}}.SVG(), map[string]int{"rect": 3, "path": 2}}, // with the ground and the mark; the long bar has no range
	}
	for _, tt := range tests {
		found := map[string]int{}
		dec := xml.NewDecoder(strings.NewReader(tt.svg))
		for {
			token, err := dec.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v in %s", tt.name, err, tt.svg)
			}
			if e, ok := token.(xml.StartElement); ok {
				found[e.Name.Local]++
			}
		}
		for element, n := range tt.want {
			if found[element] != n {
				t.Errorf("%s: %d of %s, want %d", tt.name, found[element], element, n)
			}
		}
	}
	if svg := tests[len(tests)-1].svg; !strings.Contains(svg, ">9 →<") {
		t.Errorf("no arrow where a bar ends before its value: %s", svg)
	}
}
