// Package seen is how docs/interop.md comes by its tables: each row has an id,
// a test marks itself as the evidence for a row, and what came of the test is
// written down where the table is made from it. So nothing stands in a table
// that a test has not just seen.
package seen

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
)

// Env names the folder for the results. Without it nothing is written.
const Env = "GRPCPIPE_INTEROP_RESULTS"

// A System is a column of the tables.
type System string

// The systems. Wine is the Windows build under Wine, with Win32 pipes.
const (
	Linux   System = "Linux"
	Wine    System = "Wine"
	Windows System = "Windows"
)

// What can come of a test.
const (
	Pass = "pass"
	Fail = "fail"
	Skip = "skip"
)

// A Column is a system, and the implementation of gRPC that is our side there.
type Column struct {
	System System
	Engine string
}

// Columns are the columns of the tables in their order.
var Columns = []Column{{Linux, GRPC}, {Wine, GRPC}, {Windows, GRPC}, {Linux, Fast}, {Wine, Fast}, {Windows, Fast}}

// The implementations, by the names of package engine.
const (
	GRPC = "grpc-go"
	Fast = "fastgrpc"
)

func (c Column) title() string {
	if c.Engine == GRPC {
		return string(c.System)
	}
	return c.Engine + ", " + string(c.System)
}

// A Result is what came of one test for one row.
type Result struct {
	Row    string `json:"row"`
	System System `json:"system"`
	Engine string `json:"engine"`
	Test   string `json:"test"`
	What   string `json:"what"`           // Pass, Fail or Skip
	Said   string `json:"said,omitempty"` // in a few words, for the cell
	Full   bool   `json:"full,omitempty"` // the long form of the test was run
}

// here is the system that the tests run on, or "" for one without a column.
func here() System {
	switch {
	case runtime.GOOS == "linux":
		return Linux
	case runtime.GOOS == "windows" && dotnetpeer.UnderWine():
		return Wine
	case runtime.GOOS == "windows":
		return Windows
	}
	return ""
}

// A Mark ties a test to a row.
type Mark struct {
	mu   sync.Mutex
	said string
}

// Say is what the cell of the row says if the test passes. Without it, it says
// that the thing was seen.
func (m *Mark) Say(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = fmt.Sprintf(format, args...)
}

// Row marks the test as the evidence for a row that has nothing to do with gRPC,
// or with grpc-go only. See RowOf.
func Row(t testing.TB, id string) *Mark { t.Helper(); return RowOf(t, id, GRPC) }

// RowOf marks the test as the evidence for a row, with an implementation of gRPC
// on our side. Several tests may stand for one row: then all of them must pass. A
// row that isn't declared fails the test.
func RowOf(t testing.TB, id, engine string) *Mark {
	t.Helper()
	if !slices.ContainsFunc(Rows, func(r RowInfo) bool { return r.ID == id }) {
		t.Fatalf("seen: no row %q is declared", id)
	}
	m := new(Mark)
	dir := os.Getenv(Env)
	if dir == "" || here() == "" {
		return m
	}
	t.Cleanup(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		r := Result{Row: id, System: here(), Engine: engine, Test: t.Name(), What: Pass, Said: m.said, Full: soak.Full()}
		switch {
		case t.Failed():
			r.What = Fail
		case t.Skipped():
			r.What = Skip
		}
		if err := write(dir, r); err != nil {
			t.Errorf("seen: %v", err)
		}
	})
	return m
}

var writing sync.Mutex

// write adds a line to the file of this process.
func write(dir string, r Result) error {
	writing.Lock()
	defer writing.Unlock()
	// Under Wine the folder is a Unix path; made absolute it is on the drive of
	// the current folder, which is the one that holds the whole system.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	name := filepath.Join(dir, fmt.Sprintf("%s-%d.jsonl", here(), os.Getpid()))
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	if err2 := f.Close(); err == nil {
		err = err2
	}
	return err
}

// Read reads all results in the folder.
func Read(dir string) ([]Result, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	if err != nil {
		return nil, err
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("no results in %s: run the tests with %s=%s", dir, Env, dir)
	}
	var all []Result
	for _, name := range names {
		some, err := readFile(name)
		if err != nil {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

func readFile(name string) ([]Result, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var all []Result
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r Result
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, r)
	}
	return all, lines.Err()
}
