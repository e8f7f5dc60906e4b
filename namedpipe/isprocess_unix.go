//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"os"
	"syscall"
)

// holds reports whether the number of the process is still its own.
func holds(process *os.Process) bool { return process.Signal(syscall.Signal(0)) == nil }

// unknowable reports whether the system doesn't report when a process started.
func unknowable(err error) bool { return errors.Is(err, errors.ErrUnsupported) }

// processOf returns what is known of a client that has not sent a byte.
func (c *Conn) processOf() (*Peer, error) { return c.Peer() }
