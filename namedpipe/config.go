package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"runtime"
	"time"
)

const (
	defaultBufferSize       = 64 << 10
	defaultNameTakenTimeout = 2 * time.Second
	// maxInstances leaves room for the event that stops the wait: Windows
	// waits for at most 64 objects at once.
	maxInstances = 62
	// maxBufferSize keeps a slip of units from taking the kernel's memory.
	maxBufferSize = 16 << 20
)

// withDefaults returns a copy in which every field has its value.
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

func (lc *ListenConfig) listenName(ctx context.Context, name string) (*Listener, error) {
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

// newListener returns a listener that doesn't listen yet.
func newListener(addr *Addr, cfg ListenConfig) *Listener {
	return &Listener{addr: addr, onlySelf: cfg.Access.onlySelf(), check: cfg.Access.Check, log: cfg.log()}
}

func (l *Listener) listen(ctx context.Context, cfg ListenConfig) error {
	if cfg.TakeOver {
		return l.listenInTurn(ctx, cfg)
	}
	return l.start(cfg)
}

// otherAccess is the error for a name whose pipe lets in others than this
// listener's Access means.
func otherAccess(theirs, ours string) error {
	return &problem{
		text: fmt.Sprintf("the pipe that has the name has another access (%s) than this ListenConfig.Access (%s), and it can't be changed while it is served: "+
			"use the same Access, or stop the server first", theirs, ours),
		causes: []error{fs.ErrInvalid},
	}
}

// nameHolder adds to a failure to get a name who has it, as far as that can be
// seen by connecting to it once, as nobody and without sending a byte.
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

func (d *Dialer) dialName(ctx context.Context, name string) (*Conn, error) {
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

// trusted hands out a fresh connection if its server may be trusted.
func (d *Dialer) trusted(ctx context.Context, addr *Addr, c conn) (*Conn, error) {
	if err := d.Server.verify(ctx, c, addr.path); err != nil {
		c.Close()
		return nil, opError("dial", addr, err)
	}
	return &Conn{addr: addr, conn: c, client: true}, nil
}

// dialEnded is the error of a Dial whose context ended: it matches the
// context's error and says what was waited for.
func dialEnded(ctxErr, last error) error {
	if last == nil {
		return explain(ctxErr, "the context ended before the pipe was opened", "")
	}
	return &problem{text: ctxErr.Error() + ": " + last.Error(), causes: []error{ctxErr, last}}
}

// sleep waits for the back-off of the given try, 1 ms growing to 25 ms, or
// until the context ends. The jitter keeps a crowd that was turned away
// together from coming back together.
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
