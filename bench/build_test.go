package main

import (
	"os/exec"
	"runtime"
	"testing"
)

const hostSystem = runtime.GOOS

// build makes the program that the tests start.
func build(t *testing.T, exe string) {
	t.Helper()
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	if out, err := exec.Command(tool, "build", "-o", exe, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
