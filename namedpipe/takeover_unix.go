//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// join makes a listener of a predecessor's socket. Until begin it is the
// predecessor's to remove.
func (l *Listener) join(cfg ListenConfig, _ *Conn, o offer) error {
	defer o.file.Close()
	if o.removes {
		if err := l.fits(cfg); err != nil {
			return err
		}
	}
	if err := l.adopt(cfg, o.file); err != nil {
		return err
	}
	l.l.inherits = o.removes
	return nil
}

// fits is an error if the access would give the socket's file another mode or
// group than it has. A file that is shared with a server which still runs is not
// changed.
func (l *Listener) fits(cfg ListenConfig) error {
	rule, err := cfg.Access.rule()
	if err != nil {
		return err
	}
	file, err := os.Lstat(l.addr.path)
	if err != nil {
		return explainAs(errNameTaken, bare(err), "the socket's file was removed while the name was taken over", "try again")
	}
	st := file.Sys().(*syscall.Stat_t)
	if file.Mode().Perm() != rule.mode || rule.gid >= 0 && int(st.Gid) != rule.gid {
		return otherAccess(fmt.Sprintf("mode %04o and group %d", file.Mode().Perm(), st.Gid), rule.String())
	}
	return nil
}

// begin takes charge of the socket. To listen on it again makes this process the
// one that clients see.
func (l *listener) begin(before *Conn) error {
	rc, err := l.ln.SyscallConn()
	if err != nil {
		return nil // closed, as accept says
	}
	rc.Control(func(fd uintptr) { err = unix.Listen(int(fd), -1) }) // -1 is the longest backlog that the system allows
	if err != nil {
		return explain(err, "can't listen on the socket that was taken over", "")
	}
	before.Write([]byte{takes}) // if the predecessor has gone the socket is this listener's anyway
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removes = l.inherits
	return nil
}

// retire ends accept and leaves the socket to the successor.
func (l *listener) retire(*Conn) {
	l.mu.Lock()
	if l.ended != nil {
		l.mu.Unlock()
		return
	}
	l.ended, l.removes = errTakenOver, false
	l.mu.Unlock()
	l.halt()
	l.ln.Close() // unblocks accept
}

// leave has close leave the file to a successor.
func (l *listener) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removes = false
}

// send sends the offer with the socket.
func (l *listener) send(c *Conn) error {
	l.mu.Lock()
	o := offer{removes: l.removes}
	l.mu.Unlock()
	rc, err := l.ln.SyscallConn()
	if err != nil {
		return err
	}
	cerr := rc.Control(func(fd uintptr) {
		_, _, err = c.conn.WriteMsgUnix(o.encode(), unix.UnixRights(int(fd)), nil)
	})
	return errors.Join(cerr, err)
}

// receive reads an offer of len(b) bytes and the socket that comes with it.
func (c *Conn) receive(b []byte) (*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := c.conn.ReadMsgUnix(b, oob)
	if err != nil {
		return nil, err
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) != 1 || n != len(b) {
		return nil, errors.Join(fs.ErrInvalid, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.Join(fs.ErrInvalid, err)
	}
	unix.CloseOnExec(fds[0]) // already so where the system can do it in one step
	return os.NewFile(uintptr(fds[0]), "socket"), nil
}
