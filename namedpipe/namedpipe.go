package namedpipe

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

var (
	_ net.Listener = (*Listener)(nil)
	_ net.Conn     = (*Conn)(nil)
	_ net.Addr     = (*Addr)(nil)
	_ syscall.Conn = (*Conn)(nil)
)

// Listen listens on the named pipe with the zero [ListenConfig].
func Listen(ctx context.Context, name string) (*Listener, error) {
	var lc ListenConfig
	return lc.Listen(ctx, name)
}

// Dial connects to the named pipe with the zero [Dialer].
func Dial(ctx context.Context, name string) (*Conn, error) {
	var d Dialer
	return d.Dial(ctx, name)
}

// A ListenConfig holds options for listening. The zero value is ready to use
// and lets in only the current user of this machine. A ListenConfig is not
// changed by its methods and may be shared.
type ListenConfig struct {
	// Instances is the number of pipe instances that wait for clients at the
	// same time on Windows, the counterpart of a socket's backlog: so many can
	// connect before Accept is called. It is from 1 to 62. 0 means the number
	// of processors, at least 2 and at most 16. Elsewhere the kernel's own
	// backlog is used.
	Instances int

	// BufferSize is the quota in bytes for each direction of a connection on
	// Windows: so much a Write can hand over before the other end reads. 0
	// means 64 KiB. Elsewhere the system's socket buffers are used.
	BufferSize int

	// Access says who may connect. The zero value is the current user alone.
	Access Access

	// NameTakenTimeout bounds how long Listen goes on trying while the name is
	// taken. On Windows the name of a server that died lives on until its last
	// client has closed its end. 0 means 2 seconds; negative means that a taken
	// name is an error at once. The context given to Listen bounds it as well.
	NameTakenTimeout time.Duration

	// Share lets several processes of this user listen on the name at the same
	// time on Windows, if all of them set it and have the same Access. The system
	// spreads the clients over them. The name is free when the last has gone.
	// Elsewhere it has no effect: pass [Listener.File] on.
	Share bool

	// TakeOver lets the name pass from process to process without a moment in
	// which nobody serves it. If a process of this user that has set it listens
	// on the name, with the same Access, Listen doesn't fail but stands by. At the
	// new listener's first Accept the old one ends: its Accept returns the
	// connections that it has, then an error that matches [ErrReplaced], upon
	// which a server should finish its calls (grpc.Server.GracefulStop) and exit.
	// A new process that ends before its first Accept changes nothing. It can't be
	// combined with Share.
	TakeOver bool

	// Logger is told of what no caller sees: a client that was refused, with its
	// user and process, or left before it was accepted, an instance that could not be made, a socket that somebody
	// replaced. Nil means silence.
	Logger *slog.Logger
}

// Listen makes the pipe and starts to listen on it. The context bounds only the
// making: once Listen has returned, the end of ctx does not touch the listener.
// A name that is taken is tried for NameTakenTimeout, then it is an error that
// matches syscall.EADDRINUSE.
//
// Off Windows the socket has its mode, 0600 unless Access says otherwise, from
// its first moment. A live server's name is never taken over; a socket of the
// current user that nobody listens on any more is removed first. A socket of this
// path that systemd has passed on (LISTEN_FDS) is used instead: it keeps the mode
// that systemd gave it, and clients see systemd as the server. Close leaves it.
func (lc *ListenConfig) Listen(ctx context.Context, name string) (*Listener, error) {
	return lc.listenName(ctx, name)
}

// A Dialer holds options for connecting. The zero value is ready to use. A
// Dialer is not changed by its methods and may be shared.
type Dialer struct {
	// WaitForServer makes Dial wait, as long as the context lives, for a pipe
	// that isn't there yet. Otherwise a missing pipe is an error at once.
	WaitForServer bool

	// Server says which servers to trust. The zero value trusts this user's own,
	// the system's and the administrators'. Any other is refused before a byte
	// is sent to it, with an error that matches fs.ErrPermission.
	Server Trust

	// ImpersonationLevel is how far the server may act as this process. The
	// zero value is Identification. Off Windows it has no effect.
	ImpersonationLevel ImpersonationLevel
}

// Dial connects to the named pipe. While all instances of the pipe (elsewhere:
// the socket's backlog) are taken it goes on trying until the context ends. A
// pipe that doesn't exist is an error at once that matches fs.ErrNotExist,
// unless WaitForServer is set. The end of ctx after Dial has returned does not
// touch the connection.
//
// A connection says nothing about the server's health: on Windows it is made
// with a waiting instance, elsewhere with the backlog, before the server has
// called Accept.
func (d *Dialer) Dial(ctx context.Context, name string) (*Conn, error) {
	return d.dialName(ctx, name)
}

// ImpersonationLevel is how far a Windows server may act as its client; see
// https://learn.microsoft.com/windows/win32/secauthz/impersonation-levels.
type ImpersonationLevel int

const (
	// Identification lets the server see who the client is, not act as it.
	Identification ImpersonationLevel = iota
	// Anonymous hides the client's user from the server.
	Anonymous
	// Impersonation lets the server act as the client on this machine, from the
	// client's first write on, that is, once the server has passed
	// Dialer.Server. The token is that of the thread which writes: what dials
	// inside [Conn.Impersonate] and writes outside it writes as the process.
	Impersonation
	// Delegation lets the server act as the client on other machines as well,
	// otherwise like Impersonation.
	Delegation
)

// Addr is the address of a pipe. Its methods may be called at the same time.
type Addr struct {
	path string
}

// Network returns "pipe" on Windows and "unix" elsewhere.
func (a *Addr) Network() string { return network }

// String returns the full path: on Windows it begins with \\.\pipe\, elsewhere
// it is the path of the socket.
func (a *Addr) String() string {
	if a == nil {
		return "<nil>"
	}
	return a.path
}

// Stats are counters of a [Listener], taken at one moment.
type Stats struct {
	Accepted uint64            // connections that Accept has returned
	Refused  map[string]uint64 // connections that were cut before Accept returned them, by reason: "access" (Access doesn't let the client in; on Windows the system refuses it unseen), "closed" (by Close), "gone" (the client left first)
	Retries  uint64            // attempts to make an instance or to accept that failed and were made again
	Waiting  int               // instances that wait for a client; off Windows 1 while the listener is open
	Queued   int               // connections that wait for Accept; off Windows the kernel doesn't tell and it is 0
	Open     int               // connections that Accept has returned and that are not closed
}

// A Listener accepts connections on a pipe. Its methods may be called from any
// goroutine at the same time. Close must be called to free the name.
type Listener struct {
	addr     *Addr
	l        listener
	stat     counters
	onlySelf bool // nobody but the current user is let in
	check    func(*Peer) error
	log      *slog.Logger
	takeover *takeover // nil without ListenConfig.TakeOver
}

// Accept waits for the next connection and returns it as a *Conn. Clients that
// come and go and instances that can't be made for lack of resources are dealt
// with inside; an error means that the listener is closed (net.ErrClosed), that
// the deadline set with SetDeadline has passed (os.ErrDeadlineExceeded), that the
// name is no longer this listener's ([ErrReplaced]) or, off Windows, that the
// system accepts no connections for it.
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptPipe()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptPipe is Accept with the type of the connection.
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
		if l.takeover != nil {
			l.takeover.accepted.Store(time.Now().UnixNano())
		}
		c := &Conn{addr: l.addr, conn: opened, onlySelf: l.onlySelf}
		if !l.admits(c) {
			continue
		}
		c.open = &l.stat.open
		l.stat.accepted.Add(1)
		l.stat.open.Add(1)
		return c, nil
	}
}

// admits holds a new client against Access.Check.
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
	c.Close()
	l.stat.denied.Add(1)
	l.log.Warn("namedpipe: a client was refused", "pipe", l.addr.path, "client", p, "error", err)
	return false
}

// Close stops listening and frees the name. Clients that are connected but not
// yet accepted are cut off; connections that Accept has returned go on. Pending
// calls of Accept return net.ErrClosed, as do later calls of Accept and Close.
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

// SetDeadline bounds pending and future calls of Accept. The zero time means no
// deadline.
func (l *Listener) SetDeadline(t time.Time) error {
	if err := l.l.setDeadline(t); err != nil {
		return opError("set", l.addr, err)
	}
	return nil
}

// Stats returns the counters of this moment.
func (l *Listener) Stats() Stats {
	s := Stats{
		Accepted: l.stat.accepted.Load(),
		Refused:  map[string]uint64{},
		Retries:  l.stat.retries.Load(),
		Open:     int(l.stat.open.Load()),
	}
	for reason, n := range map[string]*atomic.Uint64{"access": &l.stat.denied, "closed": &l.stat.closed, "gone": &l.stat.gone} {
		if n := n.Load(); n > 0 {
			s.Refused[reason] = n
		}
	}
	s.Waiting, s.Queued = l.l.depth()
	return s
}
