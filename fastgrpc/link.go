package fastgrpc

import (
	"context"
	"time"

	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A clientLink is one connection of a client. It is the h2.Handler of its
// h2.Conn.
type clientLink struct {
	cc    *ClientConn
	place *endpoint
	h2    *h2.Conn
	peer  *peer.Peer
	pings time.Duration // the time between its keep-alive pings; 0 for none
	// promoted says that it was the endpoint's. Guarded by cc.mu.
	promoted bool
	// tagged is the connection's context for stats handlers, or nil.
	tagged context.Context
}

// settle waits for the server's settings. With early, a call that waits for the
// connection goes out meanwhile, and reads for both, unless it waits for ready.
func (l *clientLink) settle(ctx context.Context, early bool) error {
	cc := l.cc
	cc.mu.Lock()
	waited := early && cc.hasty > 0
	if early && l.place.coming == l {
		cc.early = l
		cc.broadcast()
	}
	cc.mu.Unlock()
	err := l.h2.WaitReady(ctx, !waited)
	cc.mu.Lock()
	if cc.early == l {
		cc.early = nil
	}
	cc.mu.Unlock()
	if err != nil {
		l.h2.CloseWith(err) // unless it has ended
		err = l.h2.Err()
	}
	return err
}

// Ready says that the server's settings are there.
func (l *clientLink) Ready(*h2.Conn) {
	l.cc.mu.Lock()
	defer l.cc.mu.Unlock()
	if l.place.coming == l {
		l.place.ready()
	}
}

// GoAway makes room for another connection.
func (l *clientLink) GoAway(_ *h2.Conn, e *h2.GoAwayError) {
	if e.Code == h2.EnhanceYourCalm && e.Text == tooManyPings {
		l.cc.mu.Lock()
		l.cc.pingTime = max(l.cc.pingTime, 2*l.pings) // once for all connections that are told at a time
		l.cc.mu.Unlock()
	}
	l.leave()
}

// tooManyPings is what a server says that is pinged too often, as in grpc-go.
const tooManyPings = "too_many_pings"

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

// leave takes the connection away from further calls.
func (l *clientLink) leave() {
	cc := l.cc
	cc.mu.Lock()
	defer cc.mu.Unlock()
	if cc.early == l {
		cc.early = nil
	}
	if l.place.coming == l {
		l.place.coming = nil // tried sees to the rest
	}
	if l.place.link == l {
		l.place.link = nil
		cc.lost(l.place)
	}
}

// NewStream, Head and Start are a server's.
func (l *clientLink) NewStream() *h2.Stream                        { return nil }
func (l *clientLink) Head(*h2.Stream, []h2.Field, bool) h2.StartAt { return h2.AtEnd }
func (l *clientLink) Start(*h2.Stream) bool                        { return true }
