package fastgrpc

import (
	"context"
	"errors"
	"net"
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
	hc := h2.NewConn(h2.NewCarrier(conn), c, true, c.lim, nil)
	s := c.srv
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
	hc.Serve()
}

// handshake finds out who the client is.
func (c *serverConn) handshake() (net.Conn, credentials.AuthInfo, error) {
	if c.srv.cfg.Credentials == nil {
		pipe, ok := c.raw.(*namedpipe.Conn)
		if !ok {
			return creds.New(nil).ServerHandshake(c.raw)
		}
		info, err := creds.OfClient(pipe)
		return pipe, info, err
	}
	limit := c.lim.Handshake
	if limit == 0 {
		limit = 10 * time.Second
	}
	c.raw.SetDeadline(time.Now().Add(limit))
	conn, info, err := c.srv.cfg.Credentials.ServerHandshake(c.raw)
	if err == nil {
		c.raw.SetDeadline(time.Time{})
	}
	return conn, info, err
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

// Ready, GoAway and Closed are for h2.Conn.
func (c *serverConn) Ready(*h2.Conn)                   {}
func (c *serverConn) GoAway(*h2.Conn, *h2.GoAwayError) {}
func (c *serverConn) Closed(*h2.Conn, error) {
	if h := c.srv.stats; h != nil {
		h.conn(c.base, &stats.ConnEnd{})
	}
	c.forget()
}
