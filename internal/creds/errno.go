//go:build !plan9

package creds

import (
	"errors"
	"syscall"
)

// isGone reports whether a write failed because the other end is gone, which
// the reader sees too.
func isGone(err error) bool { return errors.Is(err, syscall.EPIPE) }
