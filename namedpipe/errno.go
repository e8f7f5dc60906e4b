//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly || windows

package namedpipe

import "syscall"

// What callers hold errors against; Go gives both a value on Windows as well.
const (
	errNameTaken = syscall.EADDRINUSE
	errBroken    = syscall.EPIPE
)
