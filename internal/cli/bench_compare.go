package cli

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
)

// readSummary reads the output of an earlier bench -o json.
func readSummary(path string) (*summary, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, usage("--compare: %w", err)
	}
	s := &summary{}
	if err := json.Unmarshal(b, s); err != nil {
		return nil, usage("--compare %s: it is not the output of bench -o json: %w", path, err)
	}
	if s.Method == "" || s.Duration <= 0 || s.Environment == nil {
		return nil, usage("--compare %s: it is not the output of bench -o json", path)
	}
	return s, nil
}

// comparison is what has changed since an earlier run.
type comparison struct {
	File    string       `json:"file"`
	Changes []changeJSON `json:"changes"`
	// Differs says in what the two runs were not made alike.
	Differs []string `json:"differs,omitempty"`
}

type changeJSON struct {
	Metric  string  `json:"metric"`
	Earlier float64 `json:"earlier"`
	Now     float64 `json:"now"`
	Change  float64 `json:"change"` // 0.1 is a tenth more
	// Noise is how much the seconds of the two runs differ by themselves, as a
	// share; 0 if there are too few to tell.
	Noise float64 `json:"noise"`
}

func compare(file string, earlier, now *summary) *comparison {
	now.earlier = earlier
	c := &comparison{File: file}
	of := func(metric string, point func(pointJSON) float64) {
		a, okA := earlier.metric(metric)
		b, okB := now.metric(metric)
		if !okA || !okB || a == 0 {
			return
		}
		change := changeJSON{Metric: metric, Earlier: a, Now: b, Change: b/a - 1}
		if point != nil {
			na, nb := spread(earlier, point), spread(now, point)
			if na >= 0 && nb >= 0 {
				change.Noise = math.Hypot(na, nb)
			}
		}
		c.Changes = append(c.Changes, change)
	}
	of("rate", func(p pointJSON) float64 { return float64(p.Calls) })
	of("mean", nil)
	of("p50", func(p pointJSON) float64 { return p.P50 })
	of("p90", nil)
	of("p99", func(p pointJSON) float64 { return p.P99 })
	of("p99.9", nil)
	of("max", nil)
	for _, d := range []struct {
		what string
		a, b any
	}{
		{"target", earlier.Target, now.Target}, {"method", earlier.Method, now.Method}, {"loop", earlier.Loop, now.Loop}, {"rate", earlier.Rate, now.Rate},
		{"concurrency", earlier.Concurrency, now.Concurrency}, {"connections", earlier.Connections, now.Connections},
		{"client", earlier.Client, now.Client},
	} {
		if d.a != d.b {
			c.Differs = append(c.Differs, fmt.Sprintf("%s: %v, now %v", d.what, d.a, d.b))
		}
	}
	for _, name := range []string{"os", "arch", "processors"} {
		if a, b := fmt.Sprint(earlier.Environment[name]), fmt.Sprint(now.Environment[name]); a != b {
			c.Differs = append(c.Differs, fmt.Sprintf("%s: %s, now %s", name, a, b))
		}
	}
	return c
}

// spread is half the distance of the quartiles of the seconds, as a share of
// their median; negative if there are too few.
func spread(s *summary, point func(pointJSON) float64) float64 {
	var values []float64
	for i, p := range s.Series {
		if before := 0.0; i > 0 || p.At > 0 {
			if i > 0 {
				before = s.Series[i-1].At
			}
			if p.At-before < 0.9 || p.Calls == 0 {
				continue // the end of the run is no whole second
			}
		}
		values = append(values, point(p))
	}
	if len(values) < 4 {
		return -1
	}
	slices.Sort(values)
	at := func(q float64) float64 { return values[int(q*float64(len(values)-1)+0.5)] }
	return (at(0.75) - at(0.25)) / 2 / at(0.5)
}

// table is the comparison for a person.
func (c *comparison) table(p painter) string {
	var b strings.Builder
	fmt.Fprintf(&b, "\ncompared with %s\n", c.File)
	for _, d := range c.Differs {
		fmt.Fprintf(&b, "  %s %s\n", p.yellow("not alike:"), d)
	}
	w := tabwriter.NewWriter(&b, 0, 8, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tearlier\tnow\tchange\tnoise\t")
	for _, x := range c.Changes {
		noise := "unknown"
		if x.Noise > 0 {
			noise = fmt.Sprintf("±%.1f%%", x.Noise*100)
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\t%s\t\n", x.Metric, show(x.Metric, x.Earlier), show(x.Metric, x.Now), percent(x.Change), noise)
	}
	w.Flush()
	return b.String()
}
