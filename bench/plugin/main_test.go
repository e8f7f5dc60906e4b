package main

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// Each contender starts, answers and stops.
func TestRun(t *testing.T) {
	var out strings.Builder
	if err := run(&out, 1, 10); err != nil {
		t.Fatal(err)
	}
	for _, c := range contenders {
		if !strings.Contains(out.String(), c.name+" ") {
			t.Errorf("no line for %s:\n%s", c.name, &out)
		}
	}
}
