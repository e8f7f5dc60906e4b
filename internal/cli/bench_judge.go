package cli

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/load"
)

// maxRate bounds --rate.
const maxRate = 1e6

var rateForm = regexp.MustCompile(`^([0-9.eE+]+?)(?:\.\.([0-9.eE+]+?)(?:/([0-9]+))?)?$`)

// parseRate reads N, FROM..TO and FROM..TO/STEPS.
func parseRate(text string) (load.Rate, error) {
	bad := usage("--rate %q: write calls a second, up to %.0f: N, FROM..TO for a ramp, or FROM..TO/STEPS", text, maxRate)
	parts := rateForm.FindStringSubmatch(text)
	if parts == nil {
		return load.Rate{}, bad
	}
	number := func(s string) (float64, bool) {
		v, err := strconv.ParseFloat(s, 64)
		return v, err == nil && v > 0 && v <= maxRate
	}
	var r load.Rate
	var ok bool
	if r.From, ok = number(parts[1]); !ok {
		return load.Rate{}, bad
	}
	if parts[2] != "" {
		if r.To, ok = number(parts[2]); !ok {
			return load.Rate{}, bad
		}
	}
	if parts[3] != "" {
		var err error
		if r.Steps, err = strconv.Atoi(parts[3]); err != nil || r.Steps < 2 || r.Steps > 1000 {
			return load.Rate{}, usage("--rate %q: write from 2 to 1000 steps", text)
		}
	}
	return r, nil
}

// parseTags reads name=value.
func parseTags(texts []string) (map[string]string, error) {
	tags := map[string]string{}
	for _, text := range texts {
		name, value, found := strings.Cut(text, "=")
		if !found || name == "" {
			return nil, usage("--tag %q: write name=value", text)
		}
		tags[name] = value
	}
	return tags, nil
}

// A failCondition is what --fail-if says.
type failCondition struct {
	text     string
	metric   string
	op       string
	value    float64 // in the metric's unit; a share for relative ones
	relative bool    // to an earlier run
}

var conditionForm = regexp.MustCompile(`^\s*([a-z-]+[0-9.]*)\s*(>=|<=|>|<)\s*([+-]?[0-9.]+[a-zµ%]*)\s*$`)

func parseConditions(texts []string, earlier *summary) ([]failCondition, error) {
	var all []failCondition
	for _, text := range texts {
		c, err := parseCondition(text, earlier)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	return all, nil
}

func parseCondition(text string, earlier *summary) (failCondition, error) {
	parts := conditionForm.FindStringSubmatch(text)
	if parts == nil {
		return failCondition{}, usage("--fail-if %q: write a condition such as 'p99>5ms', 'rate<1000' or 'errors>0'", text)
	}
	c := failCondition{text: text, metric: parts[1], op: parts[2]}
	unit := metricUnit(c.metric)
	if unit == "" {
		return c, usage("--fail-if %q: there is no %q: write min, mean, stddev, max, p50 and the like, rate, calls, errors, error-rate or missed", text, c.metric)
	}
	value := parts[3]
	if value[0] == '+' || value[0] == '-' {
		number, isShare := strings.CutSuffix(value, "%")
		v, err := strconv.ParseFloat(number, 64)
		switch {
		case err != nil || !isShare:
			return c, usage("--fail-if %q: write a change as a share, such as +10%%", text)
		case earlier == nil:
			return c, usage("--fail-if %q: a change needs --compare EARLIER.json", text)
		}
		if _, ok := earlier.metric(c.metric); !ok {
			return c, usage("--fail-if %q: the earlier run has no %s", text, c.metric)
		}
		c.value, c.relative = v/100, true
		return c, nil
	}
	var err error
	if c.value, err = inUnit(unit, value); err != nil {
		return c, usage("--fail-if %q: %w", text, err)
	}
	return c, nil
}

// metricUnit is time, share or number, "" for what is no metric.
func metricUnit(name string) string {
	switch name {
	case "min", "mean", "stddev", "max":
		return "time"
	case "error-rate":
		return "share"
	case "rate", "calls", "errors", "missed":
		return "number"
	}
	if p, ok := strings.CutPrefix(name, "p"); ok {
		if v, err := strconv.ParseFloat(p, 64); err == nil && v > 0 && v < 100 {
			return "time"
		}
	}
	return ""
}

// inUnit reads a value: times in microseconds, shares as such.
func inUnit(unit, text string) (float64, error) {
	switch unit {
	case "time":
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, errors.New("write a time such as 500us or 5ms")
		}
		return us(d), nil
	case "share":
		number, percent := strings.CutSuffix(text, "%")
		v, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return 0, errors.New("write a share such as 1% or 0.01")
		}
		if percent {
			v /= 100
		}
		return v, nil
	}
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, errors.New("write a number")
	}
	return v, nil
}

// metric is a value of a run; ok is false if the run has none.
func (s *summary) metric(name string) (v float64, ok bool) {
	switch name {
	case "rate":
		return s.PerSecond, true
	case "calls":
		return float64(s.Calls), true
	case "errors":
		return float64(s.Failed()), true
	case "missed":
		return float64(s.Missed), true
	case "error-rate":
		return float64(s.Failed()) / math.Max(float64(s.Calls+s.Failed()), 1), true
	}
	if s.Calls == 0 && !s.CountErrors {
		return 0, false
	}
	switch name {
	case "min":
		return s.Min, true
	case "mean":
		return s.Mean, true
	case "stddev":
		return s.StdDev, true
	case "max":
		return s.Max, true
	}
	p, err := strconv.ParseFloat(strings.TrimPrefix(name, "p"), 64)
	if err != nil {
		return 0, false
	}
	if s.result != nil {
		return us(s.result.Percentile(p)), true
	}
	for _, x := range s.Percentiles {
		if x.P == p {
			return x.US, true
		}
	}
	return 0, false
}

// judge is the error for the conditions that hold. One whose metric the run does
// not have, since no call ended well, counts as holding.
func (s *summary) judge(conditions []failCondition) error {
	var held []string
	for _, c := range conditions {
		now, ok := s.metric(c.metric)
		what := fmt.Sprintf("%s is %s", c.metric, show(c.metric, now))
		if c.relative && ok {
			before, _ := s.earlier.metric(c.metric) // it was checked
			change := now/before - 1
			what += fmt.Sprintf(", %s of %s", percent(change), show(c.metric, before))
			now = change
			if before == 0 {
				now = math.Inf(1)
			}
		}
		if !ok {
			what = "no call ended well"
		}
		if !ok || holds(now, c.op, c.value) {
			held = append(held, fmt.Sprintf("%s (%s)", c.text, what))
		}
	}
	if held == nil {
		return nil
	}
	return &failure{exit: exitFailed, err: fmt.Errorf("--fail-if %s", strings.Join(held, "; "))}
}

func holds(v float64, op string, than float64) bool {
	switch op {
	case ">":
		return v > than
	case ">=":
		return v >= than
	case "<":
		return v < than
	}
	return v <= than
}

func show(metric string, v float64) string {
	switch metricUnit(metric) {
	case "time":
		return spanUS(v)
	case "share":
		return fmt.Sprintf("%.2f%%", v*100)
	}
	if math.Abs(v) >= 10 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

func percent(v float64) string { return fmt.Sprintf("%+.1f%%", v*100) }
