//go:build unix

package child_test

import (
	"os"
	"syscall"
	"testing"
	"time"
)

// waitGone waits until a process that is not this one's child has ended.
func waitGone(t *testing.T, p *os.Process) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(20 * time.Second); p.Signal(syscall.Signal(0)) == nil; {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("process %d still runs", p.Pid)
		}
	}
}
