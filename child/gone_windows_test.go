package child_test

import (
	"os"
	"testing"
)

// waitGone waits until a process that is not this one's child has ended.
func waitGone(t *testing.T, p *os.Process) {
	t.Helper()
	if _, err := p.Wait(); err != nil {
		t.Fatal(err)
	}
}
