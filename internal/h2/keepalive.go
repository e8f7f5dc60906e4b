package h2

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// maxStrikes is how many pings may come too soon. It is two in grpc-go; .NET's
// clients begin a connection with four.
const maxStrikes = 4

// strikes count the pings that come too soon.
type strikes struct {
	wrote bool // since the last ping there was something of a call's
	n     int
	last  time.Time
}

// ping counts one, and reports whether it is one too many.
func (s *strikes) ping(now time.Time, least time.Duration) bool {
	switch {
	case s.wrote:
		s.n, s.wrote = 0, false
	case now.Sub(s.last) < least:
		s.n++
	}
	s.last = now
	return s.n > maxStrikes
}

// A keeper pings a peer that is silent.
type keeper struct {
	every, limit time.Duration
	idle         bool // also without streams
	reads        atomic.Uint64
	timer        *time.Timer

	// The timer's.
	seen   uint64 // reads, at the last look
	pinged bool   // and nothing was read since
}

// KeepAlive pings the peer if nothing has come from it for the time every, or up
// to twice that, and ends the connection if nothing comes within limit then, 20 s
// if that is 0. Without idle it does so only while there are streams. It is called
// before Start or Serve.
func (c *Conn) KeepAlive(every, limit time.Duration, idle bool) {
	or(&limit, 20*time.Second)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep = &keeper{every: every, limit: limit, idle: idle}
	c.keep.timer = time.AfterFunc(every, c.keepAlive)
}

func (c *Conn) keepAlive() {
	k := c.keep
	now := k.reads.Load()
	c.mu.Lock()
	quiet, wanted := now == k.seen, k.idle || len(c.streams) > 0
	ended := c.err != nil
	c.mu.Unlock()
	k.seen = now
	switch {
	case ended:
		return
	case quiet && k.pinged:
		c.fail(fmt.Errorf("keepalive ping failed: the other end has not answered within %v: %w", k.limit, os.ErrDeadlineExceeded))
		return
	case quiet && wanted:
		k.pinged = true
		c.Ping(make(chan struct{}, 1))
		k.timer.Reset(k.limit)
		return
	}
	k.pinged = false
	k.timer.Reset(k.every)
}
