package h2

import (
	"runtime"
	"sync"
	"time"
)

const (
	tickEvery = time.Millisecond
	// idleTicks is how long nobody may read for a client's connection.
	idleTicks = 5
	// leaderTicks is for how long it is the sentinel that looks at a reading
	// caller's context. It is less than restTicks.
	leaderTicks = 20
	// restTicks is how long a connection must be quiet before it isn't looked
	// after any more.
	restTicks = 50
)

// A Sentinel looks after connections that are in use: it hands reading over when
// a handler doesn't return, and has somebody read when nobody does. It is there
// because a timer for each call would cost more than the hand-over saves. While
// no connection is in use it doesn't run.
type Sentinel struct {
	// sleep waits for one tick.
	sleep func()
	// thread says that sleep occupies its thread.
	thread bool

	mu      sync.Mutex
	conns   []*Conn
	running bool
}

// watchman is the process's own sentinel. It sleeps in the system, not in a
// timer of Go's: arming one wakes another thread, each time.
var watchman = &Sentinel{sleep: func() { threadSleep(tickEvery) }, thread: true}

// NewSentinel returns a sentinel that sleeps by Go's timers, for tests with a
// clock of their own.
func NewSentinel() *Sentinel {
	return &Sentinel{sleep: func() { time.Sleep(tickEvery) }}
}

// add makes the sentinel look after a connection.
func (s *Sentinel) add(c *Conn) {
	if !c.watch.CompareAndSwap(false, true) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	if !s.running {
		s.running = true
		go s.run()
	}
}

func (s *Sentinel) run() {
	if s.thread {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
	}
	var now []*Conn
	for idle := 0; ; {
		s.sleep()
		s.mu.Lock()
		if len(s.conns) == 0 {
			if idle++; idle >= restTicks {
				s.running, s.conns = false, nil
				s.mu.Unlock()
				return
			}
			s.mu.Unlock()
			continue
		}
		idle = 0
		now = append(now[:0], s.conns...)
		s.conns = s.conns[:0]
		s.mu.Unlock()
		rest := now[:0]
		for _, c := range now {
			if c.tick() {
				rest = append(rest, c)
			}
		}
		s.mu.Lock()
		s.conns = append(s.conns, rest...)
		s.mu.Unlock()
		clear(now)
	}
}

// tick looks after the connection, and reports whether it goes on to be looked
// after.
func (c *Conn) tick() bool {
	if !c.alive() {
		c.watch.Store(false)
		return false
	}
	if c.server {
		return c.tickServer()
	}
	now := c.leads.Load()
	if now != c.seen {
		c.seen, c.quiet = now, 0
		c.lookAtLeader(false)
		return true
	}
	c.quiet++
	c.lookAtLeader(c.quiet >= leaderTicks)
	if len(c.token) > 0 { // somebody has been reading all the time
		if c.quiet < restTicks {
			return true
		}
		c.trim()
		c.watch.Store(false)
		if len(c.token) > 0 {
			return false // it will call us when it leaves
		}
		return c.watch.CompareAndSwap(false, true)
	}
	if c.quiet < idleTicks {
		return true
	}
	c.quiet = 0
	c.watch.Store(false)
	go c.readIdle()
	return false
}

func (c *Conn) tickServer() bool {
	now := c.role.Load()
	if now != c.seen {
		c.seen, c.quiet = now, 0
		return true
	}
	if now%2 == 1 {
		c.takeOver(now)
		return true
	}
	if c.quiet++; c.quiet < restTicks {
		return true
	}
	c.quiet = 0
	c.trim()
	c.watch.Store(false)
	if c.role.Load() != now {
		return c.watch.CompareAndSwap(false, true)
	}
	return false
}
