package namedpipe

import (
	"errors"
	"net"
	"time"
)

var _ net.Listener = (*Listener)(nil)

// A Listener accepts connections on a pipe. Its methods are safe for concurrent
// use. Close must be called to free the name.
type Listener struct {
	addr     *Addr
	l        listener
	stat     counters
	onlySelf bool // only the current user is allowed
	check    func(*Peer) error
	refused  refusals
	takeover *takeover // nil without ListenConfig.TakeOver
}

// Accept waits for the next connection and returns it as a *Conn. It goes on when a
// client leaves before it is accepted and when an instance or descriptor is missing
// for lack of resources. An error means that the listener is closed
// (net.ErrClosed), that the deadline set with SetDeadline has passed
// (os.ErrDeadlineExceeded), that the name is no longer this listener's
// ([ErrReplaced]) or, off Windows, that the system accepts no connections for it.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptPipe()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptPipe is like Accept but returns the connection as a *Conn.
func (l *Listener) AcceptPipe() (*Conn, error) {
	if l.takeover != nil {
		if err := l.takeover.begin(); err != nil {
			return nil, opError("accept", l.addr, err)
		}
	}
	for {
		opened, err := l.l.accept()
		if err != nil {
			if l.takeover != nil && errors.Is(err, ErrReplaced) {
				l.takeover.settle()
			}
			return nil, opError("accept", l.addr, err)
		}
		c := &Conn{addr: l.addr, conn: opened, onlySelf: l.onlySelf}
		if !l.admits(c) {
			continue
		}
		c.open, c.refused = &l.stat.open, &l.refused
		if l.takeover != nil {
			c.unused = l.takeover.newUnused()
		}
		l.stat.accepted.Add(1)
		l.stat.open.Add(1)
		return c, nil
	}
}

// admits reports whether Access.Check accepts a new client, and closes the connection
// if not.
func (l *Listener) admits(c *Conn) bool {
	if l.check == nil {
		return true
	}
	p, err := c.processOf()
	if err == nil {
		err = l.check(p)
	}
	if err == nil {
		return true
	}
	l.stat.denied.Add(1)
	l.refused.report("namedpipe: a client was refused", p, err)
	c.Close() // last: whoever sees the end finds it counted and logged
	return false
}

// Close stops listening and frees the name, which on Windows stays taken until the
// connections that Accept has returned are closed too. Clients that are connected
// but not yet accepted are disconnected; connections that Accept has returned go
// on. Pending calls of Accept return net.ErrClosed, as do later calls of Accept and
// Close.
func (l *Listener) Close() error {
	if l.takeover != nil {
		l.takeover.close()
	}
	if err := l.l.close(); err != nil {
		return opError("close", l.addr, err)
	}
	return nil
}

// Addr returns the pipe's address, a *Addr.
func (l *Listener) Addr() net.Addr { return l.addr }

// SetDeadline sets the deadline of pending and future calls of Accept. The zero time
// means no deadline.
func (l *Listener) SetDeadline(t time.Time) error {
	if err := l.l.setDeadline(t); err != nil {
		return opError("set", l.addr, err)
	}
	return nil
}
