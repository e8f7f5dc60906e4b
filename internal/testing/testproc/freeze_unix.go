//go:build unix

package testproc

import "syscall"

// Freeze stops the process where it is, with all that it holds open. Kill ends
// a frozen process too.
func (p *Process) Freeze() error { return syscall.Kill(p.Pid(), syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (p *Process) Thaw() error { return syscall.Kill(p.Pid(), syscall.SIGCONT) }
