//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// adopt makes a listener of a socket that listens.
func (l *Listener) adopt(cfg ListenConfig, f *os.File) error {
	rule, err := cfg.Access.rule()
	if err != nil {
		return err
	}
	ln, err := listenerOf(f)
	if err != nil {
		return err
	}
	file, err := os.Lstat(l.addr.path)
	if err == nil && file.Mode()&fs.ModeSocket == 0 {
		err = &problem{text: "the file at the path is not a socket; give the path at which the socket was made", causes: []error{fs.ErrInvalid}}
	}
	if err != nil {
		ln.Close()
		return bare(err)
	}
	l.run(cfg, &rule, ln, idOf(file), false)
	return nil
}

// listenerOf returns a listener over a copy of the socket.
func listenerOf(f *os.File) (*net.UnixListener, error) {
	bad := func(what string, err error) error {
		return explainAs(fs.ErrInvalid, bare(err), what, "pass a file from Listener.File")
	}
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, bad("the file is not a socket", err)
	}
	uln, ok := ln.(*net.UnixListener)
	if !ok {
		ln.Close()
		return nil, bad("the file is not a Unix socket", syscall.EAFNOSUPPORT)
	}
	rc, err := uln.SyscallConn()
	if err == nil {
		var accepts int
		cerr := rc.Control(func(fd uintptr) { accepts, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ACCEPTCONN) })
		if err == nil && accepts == 0 {
			err = syscall.EINVAL
		}
		if cerr != nil {
			err = cerr
		}
	}
	if err != nil {
		uln.Close()
		return nil, bad("the socket doesn't listen", err)
	}
	uln.SetUnlinkOnClose(false)
	return uln, nil
}

// share returns a copy of the socket. What is shared this listener alone must
// not remove.
func (l *listener) share() (*os.File, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended != nil {
		return nil, l.ended
	}
	f, err := l.ln.File()
	if err != nil {
		return nil, err
	}
	l.removes = false
	return f, nil
}

// activated returns the socket of this path among those that systemd has passed
// on, or nil; see sd_listen_fds(3). They are the descriptors from 3 on, if they
// are meant for this process.
func activated(path string) (*os.File, error) {
	const first = 3
	n, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if err != nil || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	for fd := first; fd < first+n; fd++ {
		addr, err := unix.Getsockname(fd)
		if at, ok := addr.(*unix.SockaddrUnix); err != nil || !ok || at.Name != path {
			continue
		}
		// A copy, so that a second listener can have it when this one is closed.
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return nil, explain(err, fmt.Sprintf("can't copy the socket that was passed on as descriptor %d", fd), "")
		}
		unix.CloseOnExec(fd)
		return os.NewFile(uintptr(dup), path), nil
	}
	return nil, nil
}
