//go:build unix || windows

package namedpipe

import "syscall"

// What callers hold errors against; Go gives both a value on Windows as well.
const (
	errNameTaken = syscall.EADDRINUSE
	errBroken    = syscall.EPIPE
)
