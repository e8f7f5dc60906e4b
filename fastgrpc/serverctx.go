package fastgrpc

import (
	"context"
	"sync"
	"time"

	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A callCtx is the context of a call at the server. It answers for the peer, the
// metadata, the deadline and the transport stream in one object, and makes only
// what is needed. A handler may keep it as long as it likes, so it is never
// used again, and knows nothing of the call once that has ended.
type callCtx struct {
	conn        *serverConn
	method      string
	authority   string
	userAgent   string
	contentType string
	accept      string // grpc-accept-encoding
	extra       []h2.Field
	deadline    time.Time // zero for none

	use  sync.Mutex  // held while call is used from outside of the handler
	call *serverCall // nil once the handler has returned

	mu     sync.Mutex // after use and a stream's lock
	err    error
	done   chan struct{} // nil until it is needed
	timer  *time.Timer   // of the deadline, from when somebody waits for done
	afters map[*after]struct{}
	md     metadata.MD
}

// An after is a function to be called when the context is done.
type after struct{ f func() }

var closedChan = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (c *callCtx) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

func (c *callCtx) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		if c.err != nil {
			c.done = closedChan
		} else {
			c.done = make(chan struct{})
			c.arm()
		}
	}
	return c.done
}

// arm makes the deadline felt by those who wait for it. c.mu is held.
func (c *callCtx) arm() {
	if c.timer == nil && !c.deadline.IsZero() && c.err == nil {
		c.timer = time.AfterFunc(time.Until(c.deadline), func() { c.cancel(context.DeadlineExceeded) })
	}
}

func (c *callCtx) Err() error {
	c.mu.Lock()
	err := c.err
	c.mu.Unlock()
	if err == nil && !c.deadline.IsZero() && !time.Now().Before(c.deadline) {
		c.cancel(context.DeadlineExceeded)
		return context.DeadlineExceeded
	}
	return err
}

// AfterFunc calls f in a goroutine of its own when the context is done. Package
// context uses it, which saves a goroutine for each child.
func (c *callCtx) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	a := &after{f}
	if c.afters == nil {
		c.afters = map[*after]struct{}{}
	}
	c.afters[a] = struct{}{}
	c.arm()
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, ok := c.afters[a]
		delete(c.afters, a)
		return ok
	}
}

func (c *callCtx) Value(key any) any {
	switch key {
	case peerKey:
		return c.conn.peer
	case streamKey:
		return c
	case incomingKey:
		return c.incoming()
	}
	return c.conn.base.Value(key)
}

// incoming makes the metadata that came with the call.
func (c *callCtx) incoming() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.md == nil {
		md := make(metadata.MD, len(c.extra)+3)
		md[":authority"] = []string{c.authority}
		md[contentTypeKey] = []string{c.contentType}
		if c.userAgent != "" {
			md["user-agent"] = []string{c.userAgent}
		}
		if c.accept != "" {
			md[acceptKey] = []string{c.accept}
		}
		for _, f := range c.extra {
			addReceived(md, f) // was tried when the call came
		}
		c.md = md
	}
	return c.md
}

// StreamEnded tells of a call that the client has given up, or whose connection
// has ended.
func (c *callCtx) StreamEnded(error) { c.cancel(context.Canceled) }

// cancel ends the context.
func (c *callCtx) cancel(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = err
	if c.done != nil {
		close(c.done)
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	for a := range c.afters {
		go a.f()
	}
	c.afters = nil
}

// detach parts the context from its call when the handler has returned.
func (c *callCtx) detach() {
	c.use.Lock()
	c.call = nil
	c.use.Unlock()
}

// expired reports whether a context's deadline has passed.
func expired(ctx context.Context) bool {
	d, ok := ctx.Deadline()
	return ok && !time.Now().Before(d)
}
