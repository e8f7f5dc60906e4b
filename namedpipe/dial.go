package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"time"
)

// Dial connects to the named pipe with the zero [Dialer].
func Dial(ctx context.Context, name string) (*Conn, error) {
	var d Dialer
	return d.Dial(ctx, name)
}

// A Dialer holds options for connecting. The zero value is ready to use. The
// methods do not modify a Dialer and are safe for concurrent use.
type Dialer struct {
	// WaitForServer makes Dial wait, until the context ends, for a pipe that does
	// not exist yet. Otherwise Dial returns an error at once.
	WaitForServer bool

	// Server specifies which servers to trust. The zero value trusts those of
	// this user, of the system and of the administrators. Any other server is
	// refused before a byte is sent to it, with an error of type *[TrustError],
	// which matches fs.ErrPermission.
	Server Trust

	// ImpersonationLevel is how far the server may act as this process. The
	// default is Identification. It has no effect off Windows.
	ImpersonationLevel ImpersonationLevel
}

// ImpersonationLevel is how far a Windows server may act as its client; see
// https://learn.microsoft.com/windows/win32/secauthz/impersonation-levels.
type ImpersonationLevel int

const (
	// Identification lets the server see who the client is but not act as it.
	Identification ImpersonationLevel = iota
	// Anonymous hides the client's user from the server.
	Anonymous
	// Impersonation lets the server act as the client on this machine from the
	// client's first write on, which comes after Dialer.Server has accepted the
	// server. The token is that of the thread that writes: a connection that was
	// dialed inside [Peer.Impersonate] and is written to outside carries the
	// process's token.
	Impersonation
	// Delegation is like Impersonation but also lets the server act as the client
	// on other machines.
	Delegation
)

// Dial connects to the named pipe. While all instances of the pipe are taken
// (elsewhere: while the socket's backlog is full), Dial retries until the context
// ends. If the pipe does not exist, Dial returns an error that matches
// fs.ErrNotExist, unless WaitForServer is set. The end of the context after Dial
// has returned does not affect the connection.
//
// A successful Dial says nothing about the server's health: a waiting instance, or
// the backlog, takes the connection before the server calls Accept.
//
// Off Windows Dial does not follow a symbolic link that another user has put in
// the socket's place in a folder that others can write to.
func (d *Dialer) Dial(ctx context.Context, name string) (*Conn, error) {
	addr, err := resolve(name)
	if err != nil {
		return nil, opError("dial", &Addr{path: name}, err)
	}
	if d.ImpersonationLevel < Identification || d.ImpersonationLevel > Delegation {
		return nil, opError("dial", addr, &problem{text: fmt.Sprintf("Dialer.ImpersonationLevel is %d: use one of the constants", d.ImpersonationLevel), causes: []error{fs.ErrInvalid}})
	}
	var last error
	for try := 0; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, opError("dial", addr, dialEnded(err, last))
		}
		c, err := d.open(ctx, addr)
		if err == nil {
			return d.trusted(ctx, addr, c)
		}
		if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
			return nil, opError("dial", addr, dialEnded(err, last))
		}
		if !isBusy(err) && !(d.WaitForServer && isMissing(err)) {
			return nil, opError("dial", addr, err)
		}
		last = err
		if err := sleep(ctx, try); err != nil {
			return nil, opError("dial", addr, dialEnded(err, last))
		}
	}
}

// trusted returns a new connection if its server is trusted.
func (d *Dialer) trusted(ctx context.Context, addr *Addr, c conn) (*Conn, error) {
	if err := d.Server.verify(ctx, c, addr.path); err != nil {
		c.Close()
		return nil, opError("dial", addr, err)
	}
	return &Conn{addr: addr, conn: c, client: true}, nil
}

// dialEnded returns the error of a Dial whose context ended: it matches the
// context's error and says what Dial was waiting for.
func dialEnded(ctxErr, last error) error {
	if last == nil {
		return explain(ctxErr, "the context ended before the pipe was opened", "")
	}
	return &problem{text: ctxErr.Error() + ": " + last.Error(), causes: []error{ctxErr, last}}
}

// sleep waits for the back-off of the given try, 1 ms growing to 25 ms, or until the
// context ends. The jitter keeps clients that were refused at the same moment from
// retrying at the same moment.
func sleep(ctx context.Context, try int) error {
	d := min(time.Millisecond<<min(try, 5), 25*time.Millisecond)
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
