package h2

import "context"

// wait waits until the stream has what w asks for. An error is ctx's.
func (st *Stream) wait(ctx context.Context, w want) error {
	st.mu.Lock()
	if st.satisfied(w) {
		st.mu.Unlock()
		return nil
	}
	st.want = w
	more := st.grow()
	starving := st.uncount()
	st.mu.Unlock()
	c := st.conn
	c.giveBack(st, more, starving)
	defer func() {
		st.mu.Lock()
		st.want, st.toWake = wantNothing, false
		st.mu.Unlock()
	}()
	if c.server {
		return st.follow(ctx, nil)
	}
	select {
	case c.token <- struct{}{}:
		return st.lead(ctx)
	default:
	}
	c.follows.Add(1)
	return st.follow(ctx, c.token)
}

// lead reads for the connection until the stream is satisfied. The caller has
// the token.
func (st *Stream) lead(ctx context.Context) error {
	st.conn.lead(ctx, func() bool {
		st.mu.Lock()
		defer st.mu.Unlock()
		return st.satisfied(st.want)
	})
	st.mu.Lock()
	ok := st.satisfied(st.want)
	st.mu.Unlock()
	if ok {
		return nil
	}
	return ctx.Err()
}

// follow waits for whoever reads, and reads if that one leaves.
func (st *Stream) follow(ctx context.Context, token chan struct{}) error {
	for {
		st.mu.Lock()
		if st.satisfied(st.want) {
			st.mu.Unlock()
			return nil
		}
		st.toWake = true
		st.mu.Unlock()
		select {
		case <-st.rwake:
		case token <- struct{}{}:
			return st.lead(ctx)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// lead reads for the connection until there is what the caller wants, its ctx is
// done or the connection has ended. The caller has put a token into c.token; it
// is taken out.
func (c *Conn) lead(ctx context.Context, enough func() bool) {
	c.leads.Add(1)
	var stop func() bool
	if ctx.Done() != nil {
		stop = context.AfterFunc(ctx, c.car.Interrupt)
	}
	for !enough() {
		if stop != nil && ctx.Err() != nil || !c.readOnce() {
			break
		}
	}
	if stop != nil {
		stop() // if it runs, the next leader shrugs
	}
	c.leads.Add(1)
	<-c.token
	if c.stuck.Load() {
		go c.readIdle()
	}
	c.watchIdle()
}

// readOnce reads once and handles what was read. It returns false if the
// connection has ended. The caller is a client's reader.
func (c *Conn) readOnce() bool {
	err := c.fill()
	if err == nil {
		err = c.drain()
	} else if isInterrupt(err) {
		c.car.Resume()
		return c.alive()
	}
	if err != nil {
		c.fail(err)
		return false
	}
	c.mu.Lock()
	c.flush(false)
	alive := c.err == nil
	c.mu.Unlock()
	return alive
}

func (c *Conn) alive() bool {
	select {
	case <-c.done:
		return false
	default:
		return true
	}
}

// readIdle reads for a client's connection while no call waits, so that the
// server's pings, its GOAWAY and its end are seen. It leaves when it has read for
// a call that had to wait for it.
func (c *Conn) readIdle() {
	select {
	case c.token <- struct{}{}:
	default:
		return
	}
	if !c.stuck.Load() {
		c.trim()
	}
	was := c.follows.Load()
	for c.readOnce() && (c.follows.Load() == was || c.stuck.Load()) {
	}
	if !c.alive() {
		c.rd.drop()
	}
	<-c.token
	c.watchIdle()
}

// watchIdle has the sentinel look after the connection, unless it does.
func (c *Conn) watchIdle() {
	if !c.watch.Load() {
		c.guard.add(c)
	}
}

// trim gives up what only a busy connection needs.
func (c *Conn) trim() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.writing {
		c.spare = outbox{}
		if c.out.size() == 0 {
			c.out = outbox{}
		}
	}
	if len(c.blocked) == 0 {
		c.blocked = nil
	}
}
