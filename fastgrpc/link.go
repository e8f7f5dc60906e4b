package fastgrpc

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"strings"
	"time"

	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/internal/h2"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A clientLink is one connection of a client. It is the h2.Handler of its
// h2.Conn.
type clientLink struct {
	cc   *ClientConn
	h2   *h2.Conn
	peer *peer.Peer
	// Guarded by cc.mu: the server's settings were there, and so the connection
	// was the client's.
	settled, promoted bool
	// tagged is the connection's context for stats handlers, or nil.
	tagged context.Context
}

const (
	firstDelay = 50 * time.Millisecond // after a failed attempt
	mostDelay  = 2 * time.Second
)

// parse reads the target.
func (cc *ClientConn) parse() error {
	t, err := target.Parse(cc.text)
	if err != nil {
		return fmt.Errorf("fastgrpc: %w", err)
	}
	if t.Kind == target.OtherScheme && t.Scheme != "unix" {
		return fmt.Errorf("fastgrpc: target %q: the scheme %q needs name resolution, which only grpc-go has: use grpc.NewClient, "+
			"or write npipe:NAME, unix:PATH or HOST:PORT: %w", cc.text, t.Scheme, fs.ErrInvalid)
	}
	if t.Kind == target.Pipes && (t.Pattern != "" || len(t.Paths) != 1) {
		return fmt.Errorf("fastgrpc: target %q: several pipes are not there yet: %w", cc.text, errors.ErrUnsupported)
	}
	cc.target = t
	cc.scheme, cc.authority = "http", "localhost"
	if t.Kind == target.HostPort {
		cc.authority = cc.text
	}
	if c := cc.cfg.Credentials; c != nil {
		info := c.Info()
		if info.SecurityProtocol == "tls" {
			cc.scheme = "https"
		}
		if info.ServerName != "" {
			cc.authority = info.ServerName
		}
	}
	if t.TLS && cc.scheme != "https" {
		return fmt.Errorf("fastgrpc: target %q: https needs TLS credentials and none were given: set ClientConfig.Credentials to "+
			"credentials.NewTLS(...), or write npipe:NAME if the server has no TLS: %w", cc.text, fs.ErrInvalid)
	}
	if cc.cfg.Authority != "" {
		cc.authority = cc.cfg.Authority
	}
	return nil
}

// dial begins an attempt to connect, unless one is under way. cc.mu is held.
func (cc *ClientConn) dial() {
	if cc.dialing || cc.closed {
		return
	}
	cc.dialing = true
	cc.setState(connectivity.Connecting, nil)
	cc.routine.Add(1)
	go func() {
		defer cc.routine.Done()
		cc.connect()
	}()
}

// connect makes one attempt, and waits before the next may begin.
func (cc *ClientConn) connect() {
	ctx, cancel := context.WithTimeout(cc.closing, cc.cfg.ConnectTimeout)
	l, err := cc.open(ctx)
	if err == nil {
		err = l.settle(ctx)
	}
	cancel()
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.closed {
		if l != nil {
			l.h2.Close()
		}
		return
	}
	if err == nil {
		if !l.promoted { // its end came in between
			cc.early, cc.dialing = nil, false
			cc.setState(connectivity.Idle, nil)
		}
		return
	}
	cc.early = nil
	cc.setState(connectivity.TransientFailure, err)
	cc.delay = min(max(cc.delay*8/5, firstDelay), mostDelay)
	wait := time.Duration(float64(cc.delay) * (0.8 + 0.4*rand.Float64()))
	cc.backoff = time.AfterFunc(wait, func() {
		cc.mu.Lock()
		defer cc.mu.Unlock()
		cc.dialing = false
		if cc.state == connectivity.TransientFailure {
			cc.dial()
		}
	})
}

// open dials, shakes hands and waits for the server's settings.
func (cc *ClientConn) open(ctx context.Context) (*clientLink, error) {
	raw, err := cc.dialRaw(ctx)
	if err != nil {
		return nil, err
	}
	conn, info, err := cc.handshake(ctx, raw)
	if err != nil {
		raw.Close()
		return nil, err
	}
	l := &clientLink{cc: cc, peer: &peer.Peer{Addr: raw.RemoteAddr(), LocalAddr: raw.LocalAddr(), AuthInfo: info}}
	l.h2 = h2.NewConn(h2.NewCarrier(conn), l, false, cc.cfg.Limits, nil)
	cc.mu.Lock()
	cc.links[l] = struct{}{}
	cc.mu.Unlock()
	if h := handlers(cc.cfg.StatsHandlers); h != nil {
		l.tagged = h.tagConn(context.Background(), l.peer)
		h.conn(l.tagged, &stats.ConnBegin{Client: true})
	}
	l.h2.Start()
	return l, nil
}

// settle waits for the server's settings. A call that waits for the connection
// goes out meanwhile, and reads for both.
func (l *clientLink) settle(ctx context.Context) error {
	cc := l.cc
	cc.mu.Lock()
	waited := cc.waiting > 0
	cc.early = l
	cc.broadcast()
	l.promote()
	cc.mu.Unlock()
	err := l.h2.WaitReady(ctx, !waited)
	if err != nil {
		l.h2.CloseWith(err)
	}
	return err
}

// promote makes the connection the client's, once its settings are there. cc.mu
// is held.
func (l *clientLink) promote() {
	cc := l.cc
	if !l.settled || cc.early != l || cc.closed {
		return
	}
	l.promoted = true
	cc.early, cc.dialing, cc.delay = nil, false, 0
	cc.ready.Store(l)
	cc.setState(connectivity.Ready, nil)
}

func (cc *ClientConn) dialRaw(ctx context.Context) (net.Conn, error) {
	switch cc.target.Kind {
	case target.Pipes:
		d := cc.cfg.Dialer
		if d == nil {
			d = new(namedpipe.Dialer)
		}
		return d.Dial(ctx, cc.target.Paths[0])
	case target.HostPort:
		return new(net.Dialer).DialContext(ctx, "tcp", cc.text)
	}
	path := strings.TrimPrefix(strings.TrimPrefix(cc.text, "unix:"), "//")
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

func (cc *ClientConn) handshake(ctx context.Context, raw net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if pipe, ok := raw.(*namedpipe.Conn); ok && cc.cfg.Credentials == nil {
		info, err := creds.OfServer(pipe, true)
		return pipe, info, err
	}
	c := cc.cfg.Credentials
	if c == nil {
		c = creds.New(nil)
	}
	return c.ClientHandshake(ctx, cc.authority, raw)
}

// Ready says that the server's settings are there.
func (l *clientLink) Ready(*h2.Conn) {
	l.cc.mu.Lock()
	defer l.cc.mu.Unlock()
	l.settled = true
	l.promote()
}

// GoAway makes room for another connection.
func (l *clientLink) GoAway(*h2.Conn, *h2.GoAwayError) { l.leave() }

// Closed forgets the connection.
func (l *clientLink) Closed(*h2.Conn, error) {
	l.leave()
	l.cc.mu.Lock()
	delete(l.cc.links, l)
	l.cc.mu.Unlock()
	if l.tagged != nil {
		handlers(l.cc.cfg.StatsHandlers).conn(l.tagged, &stats.ConnEnd{Client: true})
	}
}

// leave makes the client idle if this was its connection. The next call opens
// another.
func (l *clientLink) leave() {
	cc := l.cc
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.early == l {
		cc.early = nil // connect sees to the rest
	}
	if cc.ready.CompareAndSwap(l, nil) && cc.state == connectivity.Ready {
		cc.setState(connectivity.Idle, nil)
	}
}

// NewStream, Head and Start are a server's.
func (l *clientLink) NewStream() *h2.Stream                        { return nil }
func (l *clientLink) Head(*h2.Stream, []h2.Field, bool) h2.StartAt { return h2.AtEnd }
func (l *clientLink) Start(*h2.Stream) bool                        { return true }
