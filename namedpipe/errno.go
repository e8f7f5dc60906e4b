//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows

package namedpipe

import "syscall"

// Errors that callers compare with; Go defines both on Windows too.
const (
	errNameTaken = syscall.EADDRINUSE
	errBroken    = syscall.EPIPE
)
