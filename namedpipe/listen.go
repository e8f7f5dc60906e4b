package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"time"
)

// Listen listens on the named pipe with the zero [ListenConfig].
func Listen(ctx context.Context, name string) (*Listener, error) {
	var lc ListenConfig
	return lc.Listen(ctx, name)
}

// A ListenConfig holds options for listening. The zero value is ready to use and
// allows only the current user of this machine to connect. The methods do not
// modify a ListenConfig and are safe for concurrent use.
type ListenConfig struct {
	// Instances is the number of pipe instances that wait for clients on Windows,
	// the counterpart of a socket's backlog: that many clients can connect before
	// Accept is called. It must be from 1 to 62. 0 means the number of processors,
	// but at least 2 and at most 16. Elsewhere the kernel's default backlog is
	// used.
	Instances int

	// BufferSize is the quota in bytes for each direction of a connection on
	// Windows: how much Write accepts before the peer reads. It must be from 1
	// byte to 16 MiB. 0 means 64 KiB. Elsewhere the system's socket buffers are
	// used.
	BufferSize int

	// Access specifies who may connect. The zero value allows only the current
	// user.
	Access Access

	// NameTakenTimeout is how long Listen retries while the name is taken. On
	// Windows the name of a server that died stays taken until its last client
	// has closed its end. 0 means 2 seconds; if it is negative, Listen does not
	// retry. The end of the context given to Listen also ends the retries.
	NameTakenTimeout time.Duration

	// Share allows several processes of this user to listen on the name at the
	// same time on Windows, if all of them set it and have the same Access. The
	// system distributes the clients among them. The name is free when the last
	// of them has closed it. Elsewhere it has no effect: pass on [Listener.File]
	// instead.
	Share bool

	// TakeOver allows the name to pass from process to process without a moment
	// in which no process serves it. If a process of this user that has set it
	// listens on the name with the same Access, Listen succeeds and stands by.
	// The first Accept of the new listener ends the old one: the old one's Accept
	// returns the connections that it already has, then an error that matches
	// [ErrReplaced], after which a server should finish its calls
	// (grpc.Server.GracefulStop) and exit. A new process that ends before its
	// first Accept changes nothing. TakeOver and Share exclude each other.
	TakeOver bool

	// Logger logs events that no caller sees: a client that was refused, with its
	// user and process and the reason, or that left before it was accepted; an
	// instance that could not be made; a socket that another process replaced. Its
	// handler may close the listener. If Logger is nil, nothing is logged.
	//
	// Of refused clients the listener logs 10 at once and one a second; the next
	// line has the number of those left out, as "omitted". On Windows the system
	// refuses those whom Access does not allow, and its own audit can log them; the
	// listener never sees them.
	Logger *slog.Logger
}

// Listen makes the pipe and starts to listen on it. The context applies to Listen
// only: its end does not affect the listener that Listen has returned. If the name
// is taken, Listen retries for NameTakenTimeout, then returns an error that matches
// syscall.EADDRINUSE.
//
// Off Windows the socket appears at its path with its final mode, 0600 unless
// Access says otherwise. Listen never takes the name of a live server but removes
// a socket of the current user that no process listens on. It refuses a folder that
// other users can write to and that isn't sticky, with an error that matches
// fs.ErrPermission. If systemd has passed on a socket for the path (LISTEN_FDS),
// Listen uses that: the socket keeps the mode that systemd gave it, clients see
// systemd as the server, and Close leaves the file.
func (lc *ListenConfig) Listen(ctx context.Context, name string) (*Listener, error) {
	addr, err := resolve(name)
	if err != nil {
		return nil, opError("listen", &Addr{path: name}, err)
	}
	cfg, err := lc.withDefaults()
	if err != nil {
		return nil, opError("listen", addr, err)
	}
	l := newListener(addr, cfg)
	giveUp := time.Now().Add(cfg.NameTakenTimeout)
	if err := ctx.Err(); err != nil {
		return nil, opError("listen", addr, explain(err, "the context ended before the pipe was made", ""))
	}
	for try := 0; ; try++ {
		err := l.listen(ctx, cfg)
		if err == nil {
			return l, nil
		}
		if !errors.Is(err, errNameTaken) || !time.Now().Before(giveUp) {
			return nil, opError("listen", addr, nameHolder(addr.path, err))
		}
		if sleep(ctx, try) != nil {
			return nil, opError("listen", addr, explainAs(ctx.Err(), err, "the context ended while the name was taken", ""))
		}
	}
}

const (
	defaultBufferSize       = 64 << 10
	defaultNameTakenTimeout = 2 * time.Second
	// maxInstances leaves room for the event that ends the wait: Windows waits
	// for at most 64 objects at once.
	maxInstances = 62
	// maxBufferSize keeps a mistaken unit from taking the kernel's memory.
	maxBufferSize = 16 << 20
)

// withDefaults returns a copy with the defaults filled in, or an error for a field
// that has no valid value.
func (lc ListenConfig) withDefaults() (ListenConfig, error) {
	if lc.Instances == 0 {
		lc.Instances = min(max(runtime.NumCPU(), 2), 16)
	}
	if lc.Instances < 1 || lc.Instances > maxInstances {
		return lc, &problem{text: fmt.Sprintf("ListenConfig.Instances is %d: it must be from 1 to %d, or 0 for the default", lc.Instances, maxInstances), causes: []error{fs.ErrInvalid}}
	}
	if lc.BufferSize == 0 {
		lc.BufferSize = defaultBufferSize
	}
	if lc.BufferSize < 1 || lc.BufferSize > maxBufferSize {
		return lc, &problem{text: fmt.Sprintf("ListenConfig.BufferSize is %d: it must be from 1 to %d bytes, or 0 for the default", lc.BufferSize, maxBufferSize), causes: []error{fs.ErrInvalid}}
	}
	if lc.NameTakenTimeout == 0 {
		lc.NameTakenTimeout = defaultNameTakenTimeout
	}
	if lc.Share && lc.TakeOver {
		return lc, &problem{text: "ListenConfig.Share and TakeOver exclude each other: either several processes serve the name, or one after the other", causes: []error{fs.ErrInvalid}}
	}
	return lc, lc.Access.check()
}

// newListener returns a listener that doesn't listen yet.
func newListener(addr *Addr, cfg ListenConfig) *Listener {
	return &Listener{addr: addr, onlySelf: cfg.Access.onlySelf(), check: cfg.Access.Check, refused: refusals{log: cfg.log(), pipe: addr.path}}
}

func (l *Listener) listen(ctx context.Context, cfg ListenConfig) error {
	if cfg.TakeOver {
		return l.listenInTurn(ctx, cfg)
	}
	return l.start(cfg)
}

// nameHolder adds to the error for a taken name who has it, as far as one connection
// that sends nothing, at the level Anonymous, can show.
func nameHolder(path string, err error) error {
	if !errors.Is(err, errNameTaken) {
		return err
	}
	p := whoListens(path)
	if p == nil {
		return err
	}
	return &problem{text: fmt.Sprintf("%v; it is held by %s", err, p), causes: []error{err}}
}
