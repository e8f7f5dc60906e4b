package fastgrpc

import (
	"context"
	"time"

	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// handlers are the stats handlers of a server or client. Without any, none of
// what follows is called.
type handlers []stats.Handler

func (h handlers) tagConn(ctx context.Context, p *peer.Peer) context.Context {
	for _, one := range h {
		ctx = one.TagConn(ctx, &stats.ConnTagInfo{RemoteAddr: p.Addr, LocalAddr: p.LocalAddr})
	}
	return ctx
}

func (h handlers) conn(ctx context.Context, s stats.ConnStats) {
	for _, one := range h {
		one.HandleConn(ctx, s)
	}
}

func (h handlers) tagRPC(ctx context.Context, method string, wait bool) context.Context {
	for _, one := range h {
		ctx = one.TagRPC(ctx, &stats.RPCTagInfo{FullMethodName: method, FailFast: !wait})
	}
	return ctx
}

func (h handlers) rpc(ctx context.Context, s stats.RPCStats) {
	for _, one := range h {
		one.HandleRPC(ctx, s)
	}
}

// out tells of a message that was sent: of length bytes before compression and n
// after.
func (h handlers) out(ctx context.Context, client bool, m any, length, n int) {
	h.rpc(ctx, &stats.OutPayload{
		Client: client, Payload: m, Length: length, CompressedLength: n, WireLength: n + prefixLen, SentTime: time.Now(),
	})
}

// in tells of a message that was received: of n bytes, and length after
// decompression.
func (h handlers) in(ctx context.Context, client bool, m any, length, n int) {
	h.rpc(ctx, &stats.InPayload{
		Client: client, Payload: m, Length: length, CompressedLength: n, WireLength: n + prefixLen, RecvTime: time.Now(),
	})
}

// beginStats tells of a call at the server that begins.
func (c *serverCall) beginStats() {
	h := c.srv.stats
	p := c.conn.peer
	c.user = h.tagRPC(c.ctx, c.ctx.method, false)
	h.rpc(c.user, &stats.InHeader{
		FullMethod: c.ctx.method, RemoteAddr: p.Addr, LocalAddr: p.LocalAddr, Compression: c.recvEncoding,
		Header: c.ctx.incoming().Copy(),
	})
	c.began = time.Now()
	begin := &stats.Begin{BeginTime: c.began}
	if c.method != nil && c.method.stream != nil {
		begin.IsClientStream, begin.IsServerStream = c.method.stream.ClientStreams, c.method.stream.ServerStreams
	}
	h.rpc(c.user, begin)
}

// outHeaderStats tells of a response's head.
func (c *serverCall) outHeaderStats() {
	if h := c.srv.stats; h != nil {
		md, _ := received(c.header)
		p := c.conn.peer
		h.rpc(c.user, &stats.OutHeader{Compression: c.compName, Header: md, FullMethod: c.ctx.method, RemoteAddr: p.Addr, LocalAddr: p.LocalAddr})
	}
}

// endStats tells of the end of a call at the server.
func (c *serverCall) endStats(err error) {
	md, _ := received(c.trailer)
	c.srv.stats.rpc(c.user, &stats.OutTrailer{Trailer: md})
	c.srv.stats.rpc(c.user, &stats.End{BeginTime: c.began, EndTime: time.Now(), Trailer: md, Error: err})
}

// A clientStats is what a client's stats handlers are told of one call.
type clientStats struct {
	handlers
	ctx   context.Context // as TagRPC returned it
	began time.Time
	head  bool // InHeader was told of
}

// reached is the context for handlers once the call has a connection: as with
// grpc-go, it has the server as its peer.
func (s *clientStats) reached(c *clientCall) context.Context {
	if c.link == nil {
		return s.ctx
	}
	return peer.NewContext(s.ctx, c.link.peer)
}

// beginStats tells of a call that begins. It returns the context that the call
// goes on with.
func (c *clientCall) beginStats(ctx context.Context, method string, clientStreams, serverStreams bool) context.Context {
	if len(c.cc.cfg.StatsHandlers) == 0 {
		return ctx
	}
	s := &clientStats{handlers: c.cc.cfg.StatsHandlers, began: time.Now()}
	wait := c.info != nil && c.info.waitForReady
	s.ctx = s.tagRPC(ctx, method, wait)
	c.stats = s
	s.rpc(s.ctx, &stats.Begin{Client: true, BeginTime: s.began, FailFast: !wait, IsClientStream: clientStreams, IsServerStream: serverStreams})
	return s.ctx
}

// outHeader tells of the request's head.
func (s *clientStats) outHeader(c *clientCall) {
	md, _ := metadata.FromOutgoingContext(s.ctx)
	o := &stats.OutHeader{
		Client: true, FullMethod: c.method, Header: md, RemoteAddr: c.link.peer.Addr, LocalAddr: c.link.peer.LocalAddr,
		Authority: c.cc.authority,
	}
	if c.info != nil {
		o.Compression = c.info.compressor
		if c.info.authority != "" {
			o.Authority = c.info.authority
		}
	}
	s.rpc(s.reached(c), o)
}

// inHeader tells of the response's head, once.
func (s *clientStats) inHeader(c *clientCall, r *h2.Received) {
	if s.head || !r.GotHead || r.Ended && len(r.Trail) == 0 {
		return
	}
	s.head = true
	md, _ := received(r.Head)
	in := &stats.InHeader{Client: true, Header: md, Compression: encodingOf(r.Head), FullMethod: c.method}
	if c.link != nil {
		in.RemoteAddr, in.LocalAddr = c.link.peer.Addr, c.link.peer.LocalAddr
	}
	s.rpc(s.reached(c), in)
}

// end tells of the call's end.
func (s *clientStats) end(c *clientCall, r *h2.Received, err error) {
	s.inHeader(c, r)
	var md metadata.MD
	if r.Ended {
		md, _ = received(r.Trailers())
		s.rpc(s.ctx, &stats.InTrailer{Client: true, Trailer: md})
	}
	s.rpc(s.ctx, &stats.End{Client: true, BeginTime: s.began, EndTime: time.Now(), Trailer: md, Error: err})
}
