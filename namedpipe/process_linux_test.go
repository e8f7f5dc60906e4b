package namedpipe

import (
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// TestBirth: a process has a birth of its own while it runs, by either way of
// telling, and none as a zombie or afterwards.
func TestBirth(t *testing.T) {
	for what, birth := range map[string]func(int) (uint64, error){"birthOf": birthOf, "startTime": startTime} {
		t.Run(what, func(t *testing.T) {
			must := func(pid int) uint64 {
				t.Helper()
				b, err := birth(pid)
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			child := exec.Command("sleep", "60")
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			defer child.Wait()
			defer child.Process.Kill()
			pid := child.Process.Pid
			if b := must(pid); b == 0 || b != must(pid) || b == must(os.Getpid()) {
				t.Errorf("a running process has the birth %d, this one %d", b, must(os.Getpid()))
			}
			child.Process.Kill()
			if err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
				t.Fatal(err)
			}
			if b := must(pid); b != 0 {
				t.Errorf("a zombie has the birth %d", b)
			}
			child.Wait()
			if b := must(pid); b != 0 {
				t.Errorf("a process that is gone has the birth %d", b)
			}
		})
	}
}
