//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

// A group is the process group of a child.
type group struct{}

// start starts the process as the leader of a group of its own, tied to this
// process's life where the system can do that.
func (*group) start(cmd *exec.Cmd) error {
	attr := syscall.SysProcAttr{}
	if cmd.SysProcAttr != nil {
		attr = *cmd.SysProcAttr
	}
	if !attr.Setsid { // a session leader leads a group already
		attr.Setpgid = true
	}
	dieWithParent(&attr)
	cmd.SysProcAttr = &attr
	return cmd.Start()
}

// kill ends the process and those of its group. The process has not been
// waited for, so that its number is still its own.
func (*group) kill(cmd *exec.Cmd) {
	syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // fails only if all have ended
	cmd.Process.Kill()
}

func (*group) close() {}
