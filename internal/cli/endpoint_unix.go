//go:build !windows

package cli

import "syscall"

// privately makes files that only this user can use.
func privately[T any](make func() (T, error)) (T, error) {
	defer syscall.Umask(syscall.Umask(0o177))
	return make()
}

const errInUse = syscall.EADDRINUSE
