package cli

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/load"
)

// summary is the outcome of a bench, as `-o json` prints it. Times are in
// microseconds unless their name says otherwise.
type summary struct {
	Target      string            `json:"target"`
	Method      string            `json:"method"`
	Loop        string            `json:"loop"` // closed or open
	Rate        float64           `json:"rate,omitempty"`
	RateTo      float64           `json:"rate_to,omitempty"`
	RateSteps   int               `json:"rate_steps,omitempty"`
	Concurrency int               `json:"concurrency"`
	Connections int               `json:"connections"`
	Client      string            `json:"client"`
	Warmup      float64           `json:"warmup_s"`
	Duration    float64           `json:"duration_s"`
	Interrupted bool              `json:"interrupted"`
	Started     time.Time         `json:"started"`
	Calls       int64             `json:"calls"`
	PerSecond   float64           `json:"calls_per_second"`
	Missed      int64             `json:"missed"` // due in the open loop and never begun
	Errors      []errorJSON       `json:"errors"`
	CountErrors bool              `json:"errors_in_latencies,omitempty"`
	Min         float64           `json:"min_us"`
	Mean        float64           `json:"mean_us"`
	StdDev      float64           `json:"stddev_us"`
	Max         float64           `json:"max_us"`
	Percentiles []percentileJSON  `json:"percentiles"`
	Histogram   []bucketJSON      `json:"histogram"`
	Series      []pointJSON       `json:"series"`
	Environment map[string]any    `json:"environment"`
	Tags        map[string]string `json:"tags,omitempty"`
	Compare     *comparison       `json:"compare,omitempty"`
	result      *load.Result
	earlier     *summary
}

type errorJSON struct {
	Code    int    `json:"code"`
	Name    string `json:"name"`
	Count   int64  `json:"count"`
	Message string `json:"first_message"`
}

type percentileJSON struct {
	P  float64 `json:"p"`
	US float64 `json:"us"`
}

type bucketJSON struct {
	UpTo  float64 `json:"up_to_us"`
	Count int64   `json:"count"`
}

type pointJSON struct {
	At     float64 `json:"at_s"`
	Calls  int64   `json:"calls"`
	Errors int64   `json:"errors"`
	P50    float64 `json:"p50_us"`
	P99    float64 `json:"p99_us"`
}

var shownPercentiles = []float64{50, 75, 90, 95, 99, 99.9, 99.99}

func us(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func (b *bench) summary(r *load.Result) *summary {
	s := &summary{
		Target: b.target, Method: b.method, Loop: "closed", Rate: b.flags.rate.From, RateTo: b.flags.rate.To, RateSteps: b.flags.rate.Steps, Concurrency: b.flags.concurrency,
		Connections: b.flags.connections, Warmup: b.flags.warmup.Seconds(), Duration: r.Elapsed.Seconds(),
		Interrupted: r.Interrupted, Started: r.Started.UTC().Truncate(time.Millisecond), Calls: r.Calls, Missed: r.Missed, CountErrors: b.flags.countErrors, Tags: b.flags.tags, result: r,
		Errors: []errorJSON{}, Histogram: []bucketJSON{}, Series: []pointJSON{}, Percentiles: []percentileJSON{},
	}
	if r.Elapsed > 0 {
		s.PerSecond = float64(r.Calls) / r.Elapsed.Seconds()
	}
	s.Client = clientGo
	if b.fast {
		s.Client = clientFast
	}
	if b.flags.rate.From > 0 {
		s.Loop = "open"
	}
	if r.Latency.TotalCount() > 0 {
		s.Min, s.Max = float64(r.Latency.Min())/1e3, float64(r.Latency.Max())/1e3
		s.Mean, s.StdDev = r.Latency.Mean()/1e3, r.Latency.StdDev()/1e3
		for _, p := range shownPercentiles {
			s.Percentiles = append(s.Percentiles, percentileJSON{p, us(r.Percentile(p))})
		}
	}
	for _, code := range slices.Sorted(maps.Keys(r.Errors)) {
		s.Errors = append(s.Errors, errorJSON{int(code), inspect.CodeName(code), r.Errors[code], oneLine(r.FirstErrors[code])})
	}
	for _, bucket := range r.Buckets() {
		s.Histogram = append(s.Histogram, bucketJSON{us(bucket.UpTo), bucket.Count})
	}
	for _, p := range r.Series {
		s.Series = append(s.Series, pointJSON{p.At.Seconds(), p.Calls, p.Errors, us(p.P50), us(p.P99)})
	}
	v := buildInfo()
	s.Environment = map[string]any{"grpcpipe": v.Version, "go": v.Go, "os": v.OS, "arch": v.Arch, "processors": runtime.NumCPU()}
	return s
}

// failure is the error of a bench in which calls have failed.
func (s *summary) failure() error {
	var most errorJSON
	for _, e := range s.Errors {
		if e.Count > most.Count {
			most = e
		}
	}
	if most.Count == 0 {
		return nil
	}
	return &failure{exit: exitStatus + most.Code, err: fmt.Errorf("%d calls failed with %s, the first with: %s", most.Count, most.Name, most.Message)}
}

// load says in words what was done.
func (s *summary) load() string {
	conns := fmt.Sprintf("%d connections", s.Connections)
	if s.Connections == 1 {
		conns = "1 connection"
	}
	conns += " with " + s.Client
	if s.Loop == "open" {
		rate := fmt.Sprint(s.Rate)
		if s.RateTo != 0 {
			rate = fmt.Sprintf("%v to %v", s.Rate, s.RateTo)
		}
		if s.RateSteps > 1 {
			rate += fmt.Sprintf(" in %d steps", s.RateSteps)
		}
		return fmt.Sprintf("open loop, %s calls a second, at most %d under way over %s", rate, s.Concurrency, conns)
	}
	return fmt.Sprintf("closed loop, %d under way over %s", s.Concurrency, conns)
}

func spanUS(v float64) string { return span(time.Duration(v * 1e3)) }

// printSummary is the outcome for a person.
func (a *app) printSummary(s *summary) error {
	p := painter(a.wantsColor(a.stdout))
	var b strings.Builder
	fmt.Fprintf(&b, "%s on %s\n%s, %s after %s of warm-up", p.bold(s.Method), s.Target, s.load(), span(time.Duration(s.Duration*1e9)), span(time.Duration(s.Warmup*1e9)))
	if s.Interrupted {
		b.WriteString(p.yellow(", interrupted"))
	}
	for _, name := range slices.Sorted(maps.Keys(s.Tags)) {
		fmt.Fprintf(&b, "\n%s: %s", oneLine(name), oneLine(s.Tags[name]))
	}
	fmt.Fprintf(&b, "\n\n  calls    %d (%s/s)\n", s.Calls, show("rate", s.PerSecond))
	if s.Missed > 0 {
		fmt.Fprintf(&b, "  %s   %d calls were due and never begun: the rate of %v/s was not reached, for all %d calls were under way: raise --concurrency or --connections, or lower --rate\n", p.yellow("missed"), s.Missed, s.Rate, s.Concurrency)
	}
	for _, e := range s.Errors {
		fmt.Fprintf(&b, "  %s   %d %s: %s\n", p.red("errors"), e.Count, e.Name, e.Message)
	}
	if len(s.Percentiles) > 0 {
		fmt.Fprintf(&b, "  latency  min %s, mean %s, max %s\n", spanUS(s.Min), spanUS(s.Mean), spanUS(s.Max))
		for _, x := range s.Percentiles {
			fmt.Fprintf(&b, "  %-8s %s\n", fmt.Sprintf("p%v", x.P), spanUS(x.US))
		}
		b.WriteByte('\n')
		s.bars(&b, p, width(a.stdout))
	}
	if s.Compare != nil {
		b.WriteString(s.Compare.table(p))
	}
	_, err := a.stdout.Write([]byte(b.String()))
	return err
}

// bars draws the histogram.
func (s *summary) bars(b *strings.Builder, p painter, columns int) {
	var most int64
	for _, h := range s.Histogram {
		most = max(most, h.Count)
	}
	room := int64(min(max(columns-30, 10), 60))
	for _, h := range s.Histogram {
		n := h.Count * room / max(most, 1)
		if n == 0 && h.Count > 0 {
			n = 1
		}
		fmt.Fprintf(b, "  up to %7s  %s %d\n", spanUS(h.UpTo), p.green(strings.Repeat("#", int(n))), h.Count)
	}
}

// progress returns what shows the state of a run on a terminal, nil elsewhere.
func (a *app) progress() func(load.Progress) {
	if !isTerminal(a.stderr) || !enableEscapes(a.stderr) {
		return nil
	}
	return func(p load.Progress) {
		text := fmt.Sprintf("%s: %d calls, %d errors; last second %d calls, p50 %s, p99 %s",
			p.Elapsed.Round(time.Second), p.Calls, p.Errors, p.Last.Calls, span(p.Last.P50), span(p.Last.P99))
		if p.Warming {
			text = "warming up"
		}
		text = text[:min(len(text), max(width(a.stderr)-1, 20))]
		fmt.Fprintf(a.stderr, "\r\x1b[K%s", text)
	}
}

// endProgress takes the line away again.
func (a *app) endProgress() {
	if isTerminal(a.stderr) {
		fmt.Fprint(a.stderr, "\r\x1b[K")
	}
}

// Failed is how many calls have failed.
func (s *summary) Failed() (n int64) {
	for _, e := range s.Errors {
		n += e.Count
	}
	return n
}
