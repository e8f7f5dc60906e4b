//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// A group is the process group of a child.
type group struct{}

// start starts the process as the leader of its own process group, tied to the
// life of this process where the system supports it.
func (*group) start(cmd *exec.Cmd) error {
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	if !attr.Setsid { // a session leader already leads a group
		attr.Setpgid = true
	}
	dieWithParent(&attr)
	cmd.SysProcAttr = &attr
	return cmd.Start()
}

// kill kills the process and its group. The process has not been waited for, so
// its id can't have been reused.
func (*group) kill(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails only if all of them have ended
	cmd.Process.Kill()
}

func (*group) close() {}
