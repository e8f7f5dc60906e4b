package fastgrpc

import (
	"context"
	"errors"
	"io"
	"time"
	"unsafe"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A clientCall is a call at the client. Those of unary methods are used again.
type clientCall struct {
	h2.Stream
	cc   *ClientConn
	link *clientLink
	ctx  context.Context
	info *callInfo // nil if there are no options

	method string
	stats  *clientStats // nil if there are no stats handlers

	codec   codec
	comp    encoding.Compressor
	maxRecv int
	maxSend int

	scratch []byte
	write   h2.Write
	block   h2.Block
	fields  []h2.Field
	timeout [10]byte
}

// Invoke makes a unary call.
func (cc *ClientConn) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	if len(cc.defaults) > 0 {
		opts = append(cc.defaults[:len(cc.defaults):len(cc.defaults)], opts...)
	}
	if cc.unaryInt != nil {
		return cc.unaryInt(ctx, method, args, reply, opts)
	}
	return cc.invoke(ctx, method, args, reply, opts)
}

func (cc *ClientConn) invoke(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
	c := cc.calls.Get().(*clientCall)
	err := c.prepare(cc, ctx, method, opts)
	if err == nil {
		if cc.cfg.StatsHandlers != nil {
			ctx = c.beginStats(ctx, method, false, false)
			c.ctx = ctx
		}
		if err = c.outgoing(); err == nil {
			err = c.unary(ctx, args, reply)
		}
	}
	c.over(err)
	c.recycle()
	return err
}

// over tells those who asked to be told how the call ended.
func (c *clientCall) over(err error) {
	if c.info == nil && c.stats == nil {
		return
	}
	var r h2.Received
	if c.Conn() != nil {
		r = c.Received()
		c.deliver(&r)
	}
	if c.stats != nil {
		c.stats.end(c, &r, err)
	}
	if c.info != nil {
		for _, f := range c.info.onFinish {
			f(err)
		}
	}
}

// prepare reads the options and makes the head of the request.
func (c *clientCall) prepare(cc *ClientConn, ctx context.Context, method string, opts []grpc.CallOption) error {
	c.cc, c.ctx, c.method = cc, ctx, method
	c.codec, c.maxRecv, c.maxSend = cc.proto, defaultMaxRecv, noLimit
	c.User = c
	c.block = h2.Block{Key: method, Head: cc.head}
	if len(opts) > 0 {
		return c.options(method, opts)
	}
	return nil
}

// outgoing adds the metadata of the call's context.
func (c *clientCall) outgoing() (err error) {
	if md, ok := metadata.FromOutgoingContext(c.ctx); ok {
		c.fields, err = appendMetadata(c.fields, md)
	}
	return err
}

// options applies the options of a call.
func (c *clientCall) options(method string, opts []grpc.CallOption) error {
	info := &callInfo{maxRecv: defaultMaxRecv, maxSend: noLimit}
	c.info = info
	for _, o := range opts {
		if err := info.setOption(o); err != nil {
			return err
		}
	}
	contentType, err := info.settle(c.cc.proto)
	if err != nil {
		return err
	}
	c.codec, c.maxRecv, c.maxSend = info.codec, info.maxRecv, info.maxSend
	if contentType != "" || info.authority != "" {
		// Too rare to be remembered.
		for _, f := range c.cc.head(method) {
			switch {
			case f.Name == contentTypeKey && contentType != "":
				f.Value = contentType
			case f.Name == ":authority" && info.authority != "":
				f.Value = info.authority
			}
			c.fields = append(c.fields, f)
		}
		c.block = h2.Block{Head: noHead}
	}
	if info.compressor != "" {
		c.fields = append(c.fields, h2.Field{Name: encodingKey, Value: info.compressor})
		if info.compressor != encoding.Identity {
			c.comp = encoding.GetCompressor(info.compressor)
		}
	}
	return nil
}

// open picks a connection and sends the head there, with a first message if
// there is one. What the server has not looked at is tried again: once if it
// went out, without end if it never did.
func (c *clientCall) open(ctx context.Context, p h2.Payload, end bool) error {
	wait := c.info != nil && c.info.waitForReady
	for {
		c.leaveLink()
		l := c.cc.ready.Load()
		if l == nil {
			var err error
			if l, err = c.cc.pick(ctx, wait); err != nil {
				release(p)
				return err
			}
		}
		c.link = l
		vary, err := c.perCall(ctx, c.fields)
		if err == nil {
			err = c.checkAuthority()
		}
		if err != nil {
			release(p)
			return err
		}
		if d, ok := ctx.Deadline(); ok {
			// The bytes are looked at before Open returns, and not kept.
			b := appendTimeout(c.timeout[:0], time.Until(d))
			vary = append(vary, h2.Field{Name: timeoutKey, Value: unsafe.String(&b[0], len(b))})
		}
		c.block.Vary, c.fields = vary, vary[:len(c.fields)]
		c.MaxMessage = c.maxRecv
		c.write = h2.Write{Head: &c.block, Payload: p, End: end}
		err = l.h2.Open(ctx, &c.Stream, &c.write)
		if err == nil && c.stats != nil {
			c.stats.outHeader(c)
		}
		if err == nil || !errors.Is(err, h2.ErrNotOpened) {
			return err
		}
		l.leave() // nothing was sent
	}
}

// unary makes the call. It makes it again, once, if the server says that it has
// not looked at it.
func (c *clientCall) unary(ctx context.Context, args, reply any) error {
	for again := false; ; again = true {
		p, length, err := c.codec.encode(args, c.comp, c.maxSend, &c.scratch)
		if err != nil {
			return err
		}
		n := len(p.B) - prefixLen
		if err := c.open(ctx, p, true); err != nil && err != h2.ErrStreamDone {
			return c.fail(err)
		}
		if c.stats != nil {
			c.stats.out(c.stats.ctx, true, args, length, n)
		}
		if err := c.WaitEnd(ctx); err != nil {
			return c.fail(err)
		}
		r := c.Received()
		if r.Err != nil && c.mayRepeat(r.Err, again) {
			c.Release(h2.Cancel)
			continue
		}
		if c.stats != nil {
			c.stats.inHeader(c, &r)
		}
		if err := c.outcome(&r); err != nil {
			return err
		}
		return c.onlyMessage(ctx, reply)
	}
}

// mayRepeat reports whether a call that failed can't have been processed and may
// be made again.
func (c *clientCall) mayRepeat(err error, again bool) bool {
	var stream *h2.StreamError
	return !again && errors.As(err, &stream) && stream.Code == h2.RefusedStream // which only a server says
}

// leaveLink says that the call has ended on its connection.
func (c *clientCall) leaveLink() {
	if c.link != nil {
		c.link.release()
		c.link = nil
	}
}

// streamLimitText is as in the root package.
const streamLimitText = "context deadline exceeded while waiting for a stream: the server limits the calls under way on one connection " +
	"(Kestrel to 100), the limit was reached, and this call was not sent; end other calls, or open more connections with ClientConfig.Connections"

// fail ends the call by an error of this end or of the connection.
func (c *clientCall) fail(err error) error {
	var queued *h2.QueueError
	switch {
	case c.link == nil:
	case err == c.ctx.Err() && !c.link.h2.Settled():
		return c.cc.waitError(err)
	case errors.As(err, &queued) && errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, streamLimitText)
	}
	return toStatus(c.ctx, err)
}

// deliver fills in what options ask for.
func (c *clientCall) deliver(r *h2.Received) {
	if c.info == nil {
		return
	}
	if p := c.info.peer; p != nil && c.link != nil {
		*p = *c.link.peer
	}
	if c.info.header != nil {
		*c.info.header, _ = received(r.Headers())
	}
	if c.info.trailer != nil {
		*c.info.trailer, _ = received(r.Trailers())
	}
}

// outcome is the call's status, nil for OK.
func (c *clientCall) outcome(r *h2.Received) error {
	switch {
	case r.Err != nil:
		return c.fail(r.Err)
	case r.Over:
		return status.Error(codes.Internal, "peer header list size exceeded limit")
	}
	if r.GotHead {
		if err := checkResponse(r.Head); err != nil {
			return err
		}
	}
	switch {
	case len(r.Trail) > 0:
		return readStatus(r.Trail)
	case r.Ended && r.GotHead && !hasStatus(r.Head):
		return status.Error(codes.Internal, "server closed the stream without sending trailers")
	case r.Ended:
		return readStatus(r.Head)
	}
	return nil // a message too large: the receiver says so
}

func hasStatus(fields []h2.Field) bool {
	for _, f := range fields {
		if f.Name == statusKey {
			return true
		}
	}
	return false
}

var errManyResponses = status.Error(codes.Internal, "cardinality violation: expected <EOF> for non server-streaming RPCs, but received another message")

var errNoResponse = status.Error(codes.Internal, "cardinality violation: received no response message from non-server-streaming RPC")

// onlyMessage decodes the one message of a call that ended well.
func (c *clientCall) onlyMessage(ctx context.Context, reply any) error {
	b, compressed, err := c.Next(ctx)
	switch {
	case err == io.EOF:
		return errNoResponse
	case err != nil:
		return c.receiveError(err)
	}
	if err := c.decodeMessage(b, compressed, reply); err != nil {
		return err
	}
	if _, _, err := c.Next(ctx); err != io.EOF {
		if err == nil {
			return errManyResponses
		}
		return c.receiveError(err)
	}
	return nil
}

func (c *clientCall) receiveError(err error) error {
	if err == io.ErrUnexpectedEOF {
		return status.Error(codes.Internal, "unexpected EOF")
	}
	return c.fail(err)
}

func (c *clientCall) decodeMessage(b []byte, compressed bool, m any) error {
	n := len(b)
	if compressed {
		var err error
		if b, err = decompress(b, encodingOf(c.Received().Head), c.maxRecv); err != nil {
			return err
		}
	}
	if err := c.codec.decode(b, m); err != nil {
		return err
	}
	if c.stats != nil {
		c.stats.in(c.stats.ctx, true, m, len(b), n)
	}
	return nil
}

// encodingOf returns the compression that a head names.
func encodingOf(head []h2.Field) string {
	for _, f := range head {
		if f.Name == encodingKey {
			return f.Value
		}
	}
	return ""
}

// recycle ends what is left of the call and keeps it for another.
func (c *clientCall) recycle() {
	if c.Conn() != nil {
		c.Release(h2.Cancel)
	}
	c.leaveLink()
	cc := c.cc
	clear(c.fields)
	if cap(c.scratch) > small {
		c.scratch = nil
	}
	c.cc, c.link, c.ctx, c.info, c.codec, c.comp = nil, nil, nil, nil, codec{}, nil
	c.method, c.stats = "", nil
	c.write, c.block, c.fields, c.scratch = h2.Write{}, h2.Block{}, c.fields[:0], c.scratch[:0]
	cc.calls.Put(c)
}
