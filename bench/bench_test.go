package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestSpread(t *testing.T) {
	s, ok := spreadOf([]float64{5, 1, 4, 2, 3})
	if want := (spread5{1, 2, 3, 4, 5}); !ok || s != want {
		t.Errorf("got %v, want %v", s, want)
	}
	if _, ok := spreadOf(nil); ok {
		t.Error("nothing has a spread")
	}
	for _, tt := range []struct {
		s    spread5
		want string
	}{
		{spread5{Q1: 1.1, Median: 1.2, Q3: 1.3}, "1.20 [1.10-1.30]"},
		{spread5{Q1: 0.9, Median: 1.2, Q3: 1.3}, "1.20 [0.90-1.30] ≈"},
		{spread5{Q1: 11, Median: 12.34, Q3: 130}, "12.3 [11.0-130]"},
	} {
		if got := tt.s.String(); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestFill(t *testing.T) {
	page := "a\n<!-- begin x -->\nold\n<!-- end x -->\nb\n"
	want := "a\n<!-- begin x -->\n\nnew\n\n<!-- end x -->\nb\n"
	if got := fill(page, "x", "new\n"); got != want {
		t.Errorf("got %q", got)
	}
	if got := fill(page, "y", "new"); got != page {
		t.Errorf("a part without marks changed the page: %q", got)
	}
}

// rounds are outcomes of calls that took the given microseconds.
func rounds(us ...int) []*outcome {
	var out []*outcome
	for _, n := range us {
		out = append(out, &outcome{Ops: 1, Elapsed: time.Second, P50: time.Duration(n) * time.Microsecond})
	}
	return out
}

func resultOf(us ...int) *results {
	l := line{Name: "x", About: "some work", Kind: "unary", InFlight: 1}
	lr := &lineResult{Line: l, Rounds: map[string][]*outcome{
		stock: rounds(100, 100, 100, 100), stockAgain: rounds(101, 99, 100, 100), ours: rounds(us...),
	}}
	return &results{Systems: []*systemResult{{System: "linux", Contenders: []string{stock, stockAgain, ours}, Lines: []*lineResult{lr}}}}
}

func TestCompare(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	base := resultOf(80, 81, 80, 79)
	for _, tt := range []struct {
		now  *results
		want error
	}{
		{resultOf(80, 80, 82, 79), nil},
		{resultOf(60, 61, 60, 61), nil},
		{resultOf(100, 101, 99, 100), errSlower},
		{resultOf(60, 140, 70, 130), nil}, // too noisy to tell
	} {
		if err := compare(null, base, tt.now); err != tt.want {
			t.Errorf("%v, want %v", err, tt.want)
		}
	}
	if compare(null, base, &results{}) == nil {
		t.Error("an empty run passed")
	}
}

// TestRun runs two contenders for a moment, one that doesn't exist and one that
// dies, and makes tables and charts of the results.
func TestRun(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	exe := filepath.Join(t.TempDir(), "bench.exe")
	build(t, exe)
	s := &system{Name: hostSystem, words: []string{exe}, dir: t.TempDir(), names: []string{stock, ours, "nobody"},
		o: options{rounds: 2, time: 5 * time.Millisecond}}
	r := newResults("test", s.o)
	lines, err := chosen(allLines, "^(unary-64/1|send-64K|dial)$")
	if err != nil {
		t.Fatal(err)
	}
	out := s.measure(r, lines)
	r.Systems = append(r.Systems, out)
	if len(out.Lines) != 3 {
		t.Fatalf("%d lines", len(out.Lines))
	}
	for _, lr := range out.Lines {
		if _, ok := lr.ratio(ours, stock); !ok {
			t.Errorf("%s: no ratio", lr.Line.Name)
		}
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "nobody") {
		t.Errorf("notes: %q", r.Notes)
	}
	dir := t.TempDir()
	saved := filepath.Join(dir, "r.json")
	if err := r.save(saved); err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "performance.md")
	if err := os.WriteFile(page, []byte("<!-- begin summary -->\n<!-- end summary -->\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := report(options{report: saved, docs: dir}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(page)
	if err != nil || !strings.Contains(string(b), "| 64 B echo, 1 in flight |") {
		t.Errorf("page: %v: %s", err, b)
	}
	b, err = os.ReadFile(filepath.Join(dir, "performance", "results.md"))
	if err != nil || !strings.Contains(string(b), "| client stream of 64 KiB messages |") {
		t.Errorf("results: %v: %s", err, b)
	}
	if _, err := os.Stat(filepath.Join(dir, "performance", hostSystem+"-calls.svg")); err != nil {
		t.Error(err)
	}
}

// TestDocsAreCurrent: the page, the results and the charts are those of
// results.json.
func TestDocsAreCurrent(t *testing.T) {
	const docs = "../docs"
	dir := t.TempDir()
	page, err := os.ReadFile(filepath.Join(docs, "performance.md"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "performance.md"), page, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := report(options{report: "results.json", docs: dir}); err != nil {
		t.Fatal(err)
	}
	made, err := filepath.Glob(filepath.Join(dir, "performance", "*"))
	if err != nil || len(made) < 3 {
		t.Fatalf("%q, %v", made, err)
	}
	for _, file := range append(made, filepath.Join(dir, "performance.md")) {
		name, err := filepath.Rel(dir, file)
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(docs, name))
		if err != nil || !bytes.Equal(bytes.ReplaceAll(kept, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s isn't what the results say (%v): run go run . -report results.json -docs ../docs", name, err)
		}
	}
}

// TestDeadServer: a run goes on without a server that has died.
func TestDeadServer(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	exe := filepath.Join(t.TempDir(), "bench.exe")
	build(t, exe)
	s := &system{Name: hostSystem, words: []string{exe}, dir: t.TempDir(), names: []string{stock, ours},
		o: options{rounds: 2, time: 5 * time.Millisecond}}
	pairs := map[string]*pair{}
	for _, n := range s.names {
		p, err := startPair(s.words, n, s.address(n))
		if err != nil {
			t.Fatal(err)
		}
		defer p.stop()
		pairs[n] = p
	}
	pairs[ours].server.cmd.Process.Kill()
	pairs[ours].server.cmd.Process.Wait()
	r := newResults("test", s.o)
	lines, _ := chosen(allLines, "^unary-64/1$")
	lr := s.line(r, lines[0], pairs)
	if lr == nil || len(lr.Rounds[stock]) != 2 || lr.Rounds[ours] != nil {
		t.Errorf("rounds: %v", lr)
	}
	if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "died") {
		t.Errorf("notes: %q", r.Notes)
	}
}

// A line beside something that slows calls down is told by its slowest calls,
// however many are in flight.
func TestTailLines(t *testing.T) {
	t.Parallel()
	of := func(p99 time.Duration) []*outcome {
		return []*outcome{{Ops: 1000, Elapsed: time.Second, P50: time.Microsecond, P99: p99}}
	}
	for _, l := range []line{{InFlight: 8, Blocks: true}, {InFlight: 1, Flood: "send"}} {
		lr := &lineResult{Line: l, Rounds: map[string][]*outcome{stock: of(4 * time.Millisecond), ours: of(time.Millisecond)}}
		if got := lr.absolute(stock); got != "4000 µs" {
			t.Errorf("%+v: %s", l, got)
		}
		if r, ok := lr.ratio(ours, stock); !ok || r.Median != 4 {
			t.Errorf("%+v: a ratio of %v", l, r.Median)
		}
	}
}
