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
	// Nothing would call a handler with a deadline back from reading.
	st.talks = st.rconn.server && st.spoke.Swap(false) && ctx.Done() == nil
	had := st.endTurn()
	talks, mean := st.talks, st.mean
	st.mu.Unlock()
	c := st.conn
	c.giveBack(st, more, starving)
	defer func() {
		st.mu.Lock()
		st.want, st.toWake = wantNothing, false
		st.mu.Unlock()
	}()
	if c.server {
		return st.awaitMessage(ctx, had, had && talks && c.quickEnough(mean))
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
	st.conn.lead(ctx, st.want == wantMessage, func() bool {
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
	if err := ctx.Err(); err != nil {
		return err
	}
	// The connection has ended. Whoever has ended it goes on to end the stream.
	return st.follow(ctx, nil)
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
// is taken out. With bulk, if there is much to read, a goroutine goes on reading,
// and the token is its.
func (c *Conn) lead(ctx context.Context, bulk bool, enough func() bool) {
	c.leads.Add(1)
	ends := ctx.Done() != nil
	if ends {
		c.watchLeader(ctx)
	}
	for !enough() {
		if ends && ctx.Err() != nil || !c.readOnce() {
			break
		}
	}
	if ends {
		c.unwatchLeader()
	}
	c.leads.Add(1)
	if bulk && c.rd.bulk > 0 {
		go c.readOn()
		return
	}
	<-c.token
	if c.stuck.Load() {
		go c.readIdle()
	}
	c.watchIdle()
}

// watchLeader has the reading interrupted when ctx is done. At first it is the
// sentinel that looks at ctx, since calls that take a few milliseconds would pay
// more for context.AfterFunc than for all the rest.
func (c *Conn) watchLeader(ctx context.Context) {
	c.leadMu.Lock()
	c.leader = ctx
	c.leadMu.Unlock()
	c.watchIdle()
}

// unwatchLeader ends that. If an interruption comes now it is the next leader's,
// who shrugs.
func (c *Conn) unwatchLeader() {
	c.leadMu.Lock()
	stop := c.stopWatch
	c.leader, c.stopWatch = nil, nil
	c.leadMu.Unlock()
	if stop != nil {
		stop()
	}
}

// lookAtLeader is the sentinel's part of it. long says that the same caller has
// been reading for a while.
func (c *Conn) lookAtLeader(long bool) {
	c.leadMu.Lock()
	defer c.leadMu.Unlock()
	switch {
	case c.leader == nil || c.stopWatch != nil:
	case c.leader.Err() != nil:
		c.car.Interrupt()
	case long:
		c.stopWatch = context.AfterFunc(c.leader, c.car.Interrupt)
	}
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
	c.readWhile(func() bool { return c.follows.Load() == was })
}

// readOn reads for a client's connection while there is much to read, so that the
// receiver of a stream of large messages decodes one while the next is read. The
// caller has the token.
func (c *Conn) readOn() {
	c.readWhile(func() bool { return c.rd.bulk > 0 })
}

// readWhile reads while a write is stuck, or more wants it, and then gives the
// token back.
func (c *Conn) readWhile(more func() bool) {
	for c.readOnce() && (c.stuck.Load() || more()) {
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
