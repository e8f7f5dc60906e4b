//go:build unix && !linux

package child

import "syscall"

// dieWithParent does nothing: the end of its standard input ends the child.
func dieWithParent(*syscall.SysProcAttr) {}
