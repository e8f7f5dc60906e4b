//go:build !plan9

package firstbytes

import (
	"errors"
	"syscall"
)

// outOfMemory reports whether a write has failed for lack of memory, which says
// nothing about the server.
func outOfMemory(err error) bool {
	return errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}
