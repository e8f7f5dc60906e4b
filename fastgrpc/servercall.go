package fastgrpc

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A serverCall is a call at the server. Those of unary methods are used again.
type serverCall struct {
	h2.Stream
	srv    *Server
	conn   *serverConn
	ctx    *callCtx
	user   context.Context // ctx, or what stats handlers have made of it
	began  time.Time       // for stats handlers
	method *method
	codec  codec
	early  error // what is wrong with the request's head
	http   string

	recvEncoding string
	comp         encoding.Compressor // of responses
	compName     string

	sentHead bool
	onlyOne  bool // the one request of a method without a client stream has come
	header   []h2.Field
	trailer  []h2.Field
	hold     bool // run by the connection's reader

	scratch []byte
	write   h2.Write
	headOut h2.Block
	trail   h2.Block
	fields  []h2.Field
	decode  func(any) error // decodeRequest, made once
}

// NewStream makes the call that the connection has received the head of.
func (c *serverConn) NewStream() *h2.Stream {
	call := c.srv.calls.Get().(*serverCall)
	call.srv, call.conn, call.User = c.srv, c, call
	return &call.Stream
}

// recycle ends the call and keeps it for another.
func (c *serverCall) recycle() {
	c.ctx.cancel(context.Canceled)
	code := h2.NoError
	if expired(c.ctx) {
		code = h2.Cancel // what was to be sent came too late
	}
	if c.method == nil || c.method.unary == nil {
		// The handler may have left goroutines behind that use it.
		c.Retire(code)
		return
	}
	c.Release(code)
	srv := c.srv
	clear(c.header)
	clear(c.trailer)
	clear(c.fields)
	if cap(c.scratch) > small {
		c.scratch = nil
	}
	c.user = nil
	c.srv, c.conn, c.ctx, c.method, c.codec, c.early, c.http = nil, nil, nil, nil, codec{}, nil, ""
	c.recvEncoding, c.comp, c.compName, c.sentHead, c.onlyOne, c.hold = "", nil, "", false, false, false
	c.write, c.headOut, c.trail = h2.Write{}, h2.Block{}, h2.Block{}
	c.scratch, c.header, c.trailer, c.fields = c.scratch[:0], c.header[:0], c.trailer[:0], c.fields[:0]
	srv.calls.Put(c)
}

// Head looks at a request's head, on the reader's goroutine.
func (c *serverConn) Head(st *h2.Stream, fields []h2.Field, over bool) h2.StartAt {
	call := st.User.(*serverCall)
	st.MaxMessage = c.srv.cfg.MaxRecvMessage
	ctx := &callCtx{conn: c, call: call}
	call.ctx, call.user = ctx, ctx
	var head requestHead
	for _, f := range fields {
		head.add(ctx, f)
	}
	if head.over = over; over {
		head.fail(codes.ResourceExhausted, "200", "the request's header list is larger than the %d bytes or %d fields that the server takes",
			c.lim.HeaderBytes, c.lim.HeaderFields)
	}
	call.early, call.http = head.check(ctx), head.http
	call.recvEncoding = head.encoding
	if head.timeout > 0 {
		ctx.deadline = time.Now().Add(head.timeout)
	} else if head.timed {
		ctx.deadline = time.Now()
	}
	if call.early == nil {
		call.settle(head.subtype)
	}
	st.Watch(ctx)
	if call.early == nil && call.method.unary != nil {
		return h2.AtEnd
	}
	if call.http != "" && call.http != "200" && call.http != "reset" {
		return h2.AtEnd // no gRPC client, so it listens when it has spoken
	}
	return h2.AtHead
}

// settle finds the method and the codec, and how to compress responses.
func (c *serverCall) settle(subtype string) {
	m, err := c.srv.lookup(c.ctx.method)
	if err != nil {
		c.early = err
		return
	}
	c.method = m
	switch forced := c.srv.cfg.Codec; {
	case forced != nil:
		c.codec = codec{v2: forced}
	case subtype == "" || subtype == "proto":
		c.codec = c.srv.proto
	default:
		var ok bool
		if c.codec, ok = codecFor(subtype); !ok {
			// As grpc-go: the bytes may be protobuf's all the same.
			c.codec = c.srv.proto
		}
	}
	if e := c.recvEncoding; e != "" && e != encoding.Identity {
		c.comp = encoding.GetCompressor(e)
		if c.comp == nil {
			c.early = status.Errorf(codes.Unimplemented, "grpc: Decompressor is not installed for grpc-encoding %q", e)
			return
		}
		c.compName = e // as the request, so the response
	}
}

// Start serves a call, on the reader's goroutine or another.
func (c *serverConn) Start(st *h2.Stream) bool {
	call := st.User.(*serverCall)
	if call.early != nil && c.srv.stats == nil { // stats handlers may wait, or end the goroutine
		call.refuse()
		return true
	}
	m := call.method
	if conn := st.Conn(); call.early == nil && m.unary != nil && m.quick.inline(call) && conn.MayInline() {
		call.hold = true
		role := conn.BeginInline()
		call.run()
		if conn.EndInline(role) {
			return true
		}
		m.quick.tookOver()
		conn.Flush()
		return false
	}
	c.srv.work.do(call)
	return true
}

// run runs the handler and ends the call, even if the handler ends its
// goroutine. A panic ends the program, as with grpc-go.
func (c *serverCall) run() {
	returned := false
	defer func() {
		if !returned {
			c.ctx.detach()
			c.hold = false // the goroutine that ends writes nothing later
			c.finish(errGone)
			c.Retire(h2.NoError) // ends the context
		}
	}()
	if c.early != nil {
		c.refuse()
		returned = true
		return
	}
	if c.srv.stats != nil {
		c.beginStats()
	}
	if c.method.unary != nil {
		c.runUnary()
	} else {
		c.runStream()
	}
	returned = true
}

var errGone = status.Error(codes.Internal, "the handler called runtime.Goexit")

// errNoRequest is a unary call without a message, or with two.
var errNoRequest = status.Error(codes.Internal, "cardinality violation: received no request message from non-client-streaming RPC")

func (c *serverCall) runUnary() {
	m := c.method
	start := m.quick.begin()
	reply, err := m.unary.Handler(m.impl, c.user, c.decode, c.srv.unaryInt)
	m.quick.end(start)
	c.ctx.detach()
	c.reply(reply, err)
	c.recycle()
}

// decodeRequest decodes the one message of a unary call.
func (c *serverCall) decodeRequest(m any) error {
	b, compressed, err := c.Next(context.Background())
	switch {
	case err == io.EOF:
		return errNoRequest
	case err != nil:
		return c.receiveError(err)
	}
	if err := c.decodeMessage(b, compressed, m); err != nil {
		return err
	}
	if _, _, err := c.Next(context.Background()); err != io.EOF {
		if err == nil {
			return status.Error(codes.Internal, "cardinality violation: received multiple request messages for non-client-streaming RPC")
		}
		return c.receiveError(err)
	}
	return nil
}

// decodeMessage decodes a message that may be compressed.
func (c *serverCall) decodeMessage(b []byte, compressed bool, m any) (err error) {
	n := len(b)
	if compressed {
		if b, err = decompress(b, c.recvEncoding, c.srv.cfg.MaxRecvMessage); err != nil {
			return err
		}
	}
	if err := c.codec.decode(b, m); err != nil {
		return err
	}
	if h := c.srv.stats; h != nil {
		h.in(c.user, false, m, len(b), n)
	}
	return nil
}

// receiveError is why no message came.
func (c *serverCall) receiveError(err error) error {
	var large *h2.TooLargeError
	switch {
	case errors.As(err, &large):
		return status.Error(codes.ResourceExhausted, "grpc: "+large.Error())
	case err == io.ErrUnexpectedEOF:
		return status.Error(codes.Internal, "unexpected EOF")
	}
	if err := c.ctx.Err(); err != nil { // as whenever the stream has failed
		return status.FromContextError(err).Err()
	}
	return status.Error(codes.Internal, err.Error())
}

// reply ends a unary call by a message or an error.
func (c *serverCall) reply(reply any, err error) {
	if err != nil {
		c.finish(err)
		return
	}
	p, length, err := c.codec.encode(reply, c.comp, c.srv.cfg.MaxSendMessage, &c.scratch)
	if err != nil {
		c.finish(err)
		return
	}
	n := len(p.B) - prefixLen
	c.write = h2.Write{Payload: p, Trail: c.trailBlock(nil), Hold: c.hold}
	if !c.sentHead {
		c.write.Head = c.headBlock()
	}
	err = c.Send(c.waitCtx(), &c.write) // an error means that nobody waits for it
	if h := c.srv.stats; h != nil {
		if err == nil {
			h.out(c.user, false, reply, length, n)
		}
		c.endStats(nil)
	}
}

// waitCtx is the context for waiting on the stream, which itself knows when it
// has been given up.
func (c *serverCall) waitCtx() context.Context {
	if c.ctx.deadline.IsZero() {
		return context.Background()
	}
	return c.ctx
}

// finish ends the call by a status. It leaves c.write alone, since a stream's
// handler may have left a goroutine behind that still sends.
func (c *serverCall) finish(err error) {
	if err == nil {
		w := h2.Write{Trail: c.trailBlock(nil), Hold: c.hold}
		if !c.sentHead {
			w.Head = c.headBlock()
		}
		c.Send(c.waitCtx(), &w)
		if c.srv.stats != nil {
			c.endStats(nil)
		}
		return
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	if st.Code() == codes.OK { // an error can't be no error
		st = status.New(codes.Unknown, err.Error())
	}
	w := h2.Write{Trail: c.trailBlock(st), Hold: c.hold}
	if !c.sentHead {
		if len(c.header) > 0 {
			w.Head = c.headBlock()
		} else { // trailers only
			c.trail.Key, c.trail.Head = c.contentType(), responseHead
		}
	}
	c.Send(c.waitCtx(), &w)
	if c.srv.stats != nil {
		c.endStats(st.Err())
	}
}

// refuse ends a call whose head was wrong.
func (c *serverCall) refuse() {
	if c.http == "reset" {
		c.Cancel(h2.ProtocolError)
	} else if c.http != "" && c.http != "200" {
		st, _ := status.FromError(c.early)
		fields := []h2.Field{{Name: ":status", Value: c.http}, {Name: contentTypeKey, Value: plainContentType}}
		c.Send(context.Background(), &h2.Write{Trail: &h2.Block{Key: "trail", Head: noHead, Vary: statusFields(fields, st)}})
	} else {
		if c.srv.stats != nil {
			c.beginStats()
		}
		c.finish(c.early)
	}
	c.ctx.detach()
	c.Retire(h2.NoError) // ends the context
}

// contentType is a response's content-type: the request's.
func (c *serverCall) contentType() string {
	if s := c.ctx.contentType; s != "" {
		return s
	}
	return plainContentType
}

func responseHead(contentType string) h2.Head {
	return h2.Head{{Name: ":status", Value: "200"}, {Name: contentTypeKey, Value: contentType}}
}

func okTrail(string) h2.Head { return h2.Head{{Name: statusKey, Value: "0"}} }
func noHead(string) h2.Head  { return nil }

// headBlock is the head of the response.
func (c *serverCall) headBlock() *h2.Block {
	c.headOut = h2.Block{Key: c.contentType(), Head: responseHead, Vary: c.header}
	if c.comp != nil {
		c.headOut.Vary = append(c.headOut.Vary, h2.Field{Name: encodingKey, Value: c.compName})
	}
	c.sentHead = true
	c.outHeaderStats()
	return &c.headOut
}

// trailBlock is the trailers for a status, nil for OK.
func (c *serverCall) trailBlock(st *status.Status) *h2.Block {
	if st == nil {
		c.trail = h2.Block{Key: "ok", Head: okTrail, Vary: c.trailer}
		return &c.trail
	}
	c.fields = statusFields(c.fields[:0], st)
	rich := len(c.fields) > 0 && c.fields[len(c.fields)-1].Name == detailsKey
	for _, f := range c.trailer {
		if !rich || f.Name != detailsKey {
			c.fields = append(c.fields, f)
		}
	}
	c.trail = h2.Block{Key: "trail", Head: noHead, Vary: c.fields}
	return &c.trail
}
