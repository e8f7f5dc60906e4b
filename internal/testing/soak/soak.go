// Package soak is what the long tests share: the flag that makes them run in
// full, and the lines that `make soak` gathers into a table.
package soak

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
)

var full = flag.Bool("soak", false, "run the long tests in full instead of at a tenth")

// Full reports whether the long tests run in full.
func Full() bool { return *full }

// N returns n under -soak and a tenth of it, at least 1, otherwise.
func N(n int) int {
	if *full {
		return n
	}
	return max(n/10, 1)
}

// Report prints one row of the table: what was done, the goal, what was
// measured. Call it last, so that the verdict of t is known.
func Report(t testing.TB, what, goal, measured string) {
	verdict := "ok"
	if t.Failed() {
		verdict = "MISSED"
	}
	t.Logf("%s: %s (goal: %s)", what, measured, goal)
	if *full {
		fmt.Fprintf(os.Stdout, "soak|%s|%s|%s|%s|%s\n", runtime.GOOS, what, goal, measured, verdict)
	}
}
