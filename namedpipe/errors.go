package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
)

// ErrReplaced is matched by the error of Accept when the name is no longer this
// listener's: another process has taken it over (ListenConfig.TakeOver) or, off
// Windows, the socket's file was removed or replaced. Clients can no longer find this
// listener; accepted connections go on. It also matches net.ErrClosed.
var ErrReplaced error = &problem{text: "the pipe's name is no longer this listener's", causes: []error{net.ErrClosed}}

// A problem is an error whose text says what happened and what to do about it. It
// wraps the errors that errors.Is should find.
type problem struct {
	text   string
	remedy string // the end of text that says what to do, or ""
	causes []error
}

// Advice returns what happened and what to do about it, for programs that show the two
// separately.
func (p *problem) Advice() (what, remedy string) {
	return strings.TrimSuffix(strings.TrimSuffix(p.text, p.remedy), ": "), p.remedy
}

func (p *problem) Error() string   { return p.text }
func (p *problem) Unwrap() []error { return p.causes }

// Timeout makes net.Error's method right for the net.OpError around it.
func (p *problem) Timeout() bool {
	return slices.ContainsFunc(p.causes, func(cause error) bool {
		return errors.Is(cause, os.ErrDeadlineExceeded) || errors.Is(cause, context.DeadlineExceeded)
	})
}

// explain adds what happened and what to do about it to a system's error.
func explain(err error, what, remedy string) error {
	text := what + " (" + err.Error() + ")"
	if remedy != "" {
		text += ": " + remedy
	}
	return &problem{text: text, remedy: remedy, causes: []error{err}}
}

// explainAs is like explain, for an error that also matches as.
func explainAs(as, err error, what, remedy string) error {
	p := explain(err, what, remedy).(*problem)
	p.causes = append(p.causes, as)
	return p
}

// otherAccess returns the error for a name whose pipe has another access than this
// listener's.
func otherAccess(theirs, ours string) error {
	return &problem{
		text: fmt.Sprintf("the pipe of this name has a different access (%s) from ListenConfig.Access (%s), and that can't change while a server has it: "+
			"use the same Access, or stop the server first", theirs, ours),
		causes: []error{fs.ErrInvalid},
	}
}

// opError makes all errors that callers get: a *net.OpError with the pipe's full path.
// io.EOF is not wrapped, as package io requires.
func opError(op string, addr *Addr, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	return &net.OpError{Op: op, Net: addr.Network(), Addr: addr, Err: bare(err)}
}

// bare unwraps what the layers below have put around an error.
func bare(err error) error {
	for {
		switch e := err.(type) {
		case *net.OpError:
			err = e.Err
		case *fs.PathError:
			err = e.Err
		case *os.SyscallError:
			err = e.Err
		default:
			if errors.Is(err, os.ErrClosed) {
				return net.ErrClosed
			}
			return err
		}
	}
}

// ioError is like opError, for errors of an open connection.
func (c *Conn) ioError(op string, err error) error {
	if err == io.EOF {
		return err
	}
	err = bare(err)
	switch {
	case (op == "set" || op == "raw-control") && c.closed.Load():
		err = net.ErrClosed // package os has an error of its own for these
	case op == "read" && isPeerGone(err):
		return io.EOF
	case op == "write" && isPeerGone(err):
		err = explainAs(errBroken, err, "the other end has closed the connection", "dial again")
	}
	return opError(op, c.addr, err)
}
