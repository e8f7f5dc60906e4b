//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// explainBind explains an error from the making of a socket.
func explainBind(path string, err error) error {
	err = bare(err)
	if _, explained := err.(*problem); explained {
		return err
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return explain(err, "the folder "+parent(path)+" doesn't exist", "make it, or set TMPDIR at both ends")
	case errors.Is(err, syscall.ENOTDIR):
		return explain(err, parent(path)+" is not a folder", "choose another path")
	case errors.Is(err, fs.ErrPermission):
		return explain(err, "no permission to make a socket in "+parent(path), "choose a folder of your own")
	case errors.Is(err, syscall.EADDRINUSE), errors.Is(err, fs.ErrExist):
		return explainAs(syscall.EADDRINUSE, err, "another process has just taken this name", "stop it, or choose another name")
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EINVAL):
		return explainAs(fs.ErrInvalid, err, "the path is too long for a socket", "choose a shorter name or folder")
	}
	return explain(err, "can't make the socket", "")
}

// explainConnect explains an error from connect.
func explainConnect(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, serr := os.Stat(parent(path)); serr != nil {
			return explain(err, "the folder "+parent(path)+" doesn't exist", "check that TMPDIR is the same at both ends")
		}
		return explain(err, "there is no such pipe", "start the server, or check that the name and TMPDIR are the same at both ends")
	case errors.Is(err, syscall.ENOTDIR):
		return explainAs(fs.ErrNotExist, err, "a part of the path before the socket's name is not a folder", "check the path, and that TMPDIR is the same at both ends")
	case errors.Is(err, syscall.ECONNREFUSED):
		if file, serr := os.Stat(path); serr == nil && file.Mode()&fs.ModeSocket == 0 {
			return explainAs(fs.ErrInvalid, err, "the file is not a socket", "check the name")
		}
		return explainAs(fs.ErrNotExist, err, "no process is listening on the socket: its server is gone and has left it behind", "start the server again")
	case errors.Is(err, syscall.EAGAIN):
		return explain(err, "the server's backlog is full", "it accepts too slowly, or has stopped accepting")
	case errors.Is(err, fs.ErrPermission):
		return explain(err, "access denied: this user may not use the socket", "ask its owner, or run as the server's user")
	case errors.Is(err, syscall.EPROTOTYPE):
		return explainAs(fs.ErrInvalid, err, "the socket is not a stream socket", "check the name")
	}
	return explain(err, "can't connect", "")
}

// isBusy reports whether there is a server whose backlog is full, in which case
// connect doesn't wait on Linux.
func isBusy(err error) bool { return errors.Is(err, syscall.EAGAIN) }

// isMissing reports whether there is no server.
func isMissing(err error) bool {
	return isNowhere(err) || errors.Is(err, syscall.ECONNREFUSED)
}

// isPeerGone reports whether the other end has closed the connection. A reset means
// that it did so before it had read all that was sent to it.
func isPeerGone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET)
}

func unsupported(what string) error {
	return &problem{text: what, causes: []error{errors.ErrUnsupported}}
}
