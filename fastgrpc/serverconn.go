package fastgrpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/internal/h2"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A serverConn is a client's connection. It is the h2.Handler of its h2.Conn.
type serverConn struct {
	srv  *Server
	raw  net.Conn
	h2   *h2.Conn // nil until the handshake is over
	lim  h2.Limits
	peer *peer.Peer
	base context.Context

	mu     sync.Mutex
	timers [2]*time.Timer // of its age and of its idleness
	ended  bool
}

// accept accepts until the listener fails or is closed by stop.
func (s *Server) accept(lis net.Listener) error {
	var delay time.Duration
	for {
		raw, err := lis.Accept()
		if err != nil {
			s.mu.Lock()
			stopping := s.draining
			s.mu.Unlock()
			if stopping {
				return nil
			}
			if t, ok := err.(interface{ Temporary() bool }); ok && t.Temporary() {
				delay = min(max(2*delay, 5*time.Millisecond), time.Second)
				time.Sleep(delay)
				continue
			}
			return err
		}
		delay = 0
		c := &serverConn{srv: s, raw: raw, lim: s.cfg.Limits, base: context.Background()}
		s.mu.Lock()
		if s.draining {
			s.mu.Unlock()
			raw.Close()
			continue
		}
		s.conns[c] = struct{}{}
		s.mu.Unlock()
		go c.serve()
	}
}

// serve is the goroutine of a connection.
func (c *serverConn) serve() {
	conn, info, err := c.handshake()
	if err != nil {
		// grpc-go says the same of credentials that hand a connection over.
		if !errors.Is(err, credentials.ErrConnDispatched) {
			c.raw.Close()
		}
		c.forget()
		return
	}
	c.peer = &peer.Peer{Addr: c.raw.RemoteAddr(), LocalAddr: c.raw.LocalAddr(), AuthInfo: info}
	if h := c.srv.stats; h != nil {
		c.base = h.tagConn(c.base, c.peer)
		h.conn(c.base, &stats.ConnBegin{})
	}
	hc := c.srv.under.conn(conn, c, true, c.lim)
	s := c.srv
	if k := s.cfg.KeepAlive; k.Time > 0 {
		hc.KeepAlive(max(k.Time, time.Second), k.Timeout, true)
	}
	s.mu.Lock()
	c.h2 = hc
	stopped, draining := s.stopped, s.draining
	s.mu.Unlock()
	switch {
	case stopped:
		hc.Close()
	case draining:
		hc.Drain("")
	}
	c.limitLife(hc)
	hc.Serve()
}

// limitLife closes the connection when its time has come.
func (c *serverConn) limitLife(hc *h2.Conn) {
	k := c.srv.cfg.KeepAlive
	if k.MaxConnectionAge > 0 {
		// As in grpc-go a tenth more or less, so that clients don't all come back at
		// the same time.
		c.after(0, time.Duration(float64(k.MaxConnectionAge)*(0.9+0.2*rand.Float64())), func() {
			hc.Drain("max_age")
			if k.MaxConnectionAgeGrace > 0 {
				c.after(0, k.MaxConnectionAgeGrace, hc.Close)
			}
		})
	}
	if k.MaxConnectionIdle > 0 {
		c.closeIdle(hc, k.MaxConnectionIdle, 0)
	}
}

// closeIdle closes the connection if it has no calls and there was none since
// their number was seen.
func (c *serverConn) closeIdle(hc *h2.Conn, after time.Duration, seen uint64) {
	c.after(1, after, func() {
		busy, opened := hc.Load()
		if busy == 0 && opened == seen {
			hc.Drain("max_idle")
			return
		}
		c.closeIdle(hc, after, opened)
	})
}

// after sets a timer, unless the connection has ended.
func (c *serverConn) after(which int, d time.Duration, f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.timers[which] = time.AfterFunc(d, f)
	}
}

// handshake finds out who the client is.
func (c *serverConn) handshake() (net.Conn, credentials.AuthInfo, error) {
	limit := c.lim.Handshake
	if limit == 0 {
		limit = 10 * time.Second
	}
	// Windows says who a client is once it has sent something.
	c.raw.SetDeadline(time.Now().Add(limit))
	conn, info, err := c.identify()
	if err == nil {
		c.raw.SetDeadline(time.Time{})
	}
	return conn, info, err
}

func (c *serverConn) identify() (net.Conn, credentials.AuthInfo, error) {
	if c.srv.cfg.Credentials != nil {
		conn, info, err := c.srv.cfg.Credentials.ServerHandshake(c.raw)
		return creds.Bare(conn), info, err
	}
	if pipe, ok := c.raw.(*namedpipe.Conn); ok {
		info, err := creds.OfClient(pipe)
		return pipe, info, err
	}
	return creds.New(nil).ServerHandshake(c.raw)
}

// forget takes the connection off the server's.
func (c *serverConn) forget() {
	s := c.srv
	s.mu.Lock()
	delete(s.conns, c)
	s.changed.Broadcast()
	s.mu.Unlock()
}

func (c *serverConn) close() {
	c.srv.mu.Lock()
	hc := c.h2
	c.srv.mu.Unlock()
	if hc == nil {
		c.raw.Close()
		return
	}
	hc.Close()
}

func (c *serverConn) drain() {
	c.srv.mu.Lock()
	hc := c.h2
	c.srv.mu.Unlock()
	if hc != nil {
		hc.Drain("")
	}
}

// Ready and GoAway are for clients.
func (c *serverConn) Ready(*h2.Conn)                   {}
func (c *serverConn) GoAway(*h2.Conn, *h2.GoAwayError) {}

// Closed forgets the connection.
func (c *serverConn) Closed(*h2.Conn, error) {
	c.mu.Lock()
	c.ended = true
	for _, t := range c.timers {
		if t != nil {
			t.Stop()
		}
	}
	c.mu.Unlock()
	if h := c.srv.stats; h != nil {
		h.conn(c.base, &stats.ConnEnd{})
	}
	c.forget()
}
