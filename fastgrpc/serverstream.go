package fastgrpc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A serverStream is a call of a streaming method as its handler sees it.
type serverStream struct {
	call  *serverCall
	ctx   *callCtx
	user  context.Context // serverCall.user
	burst atomic.Int32    // messages sent since the last receiving
}

func (c *serverCall) runStream() {
	m := c.method
	ss := &serverStream{call: c, ctx: c.ctx, user: c.user}
	var err error
	if c.srv.streamInt == nil {
		err = m.stream.Handler(m.impl, ss)
	} else {
		info := &grpc.StreamServerInfo{
			FullMethod: c.ctx.method, IsClientStream: m.stream.ClientStreams, IsServerStream: m.stream.ServerStreams,
		}
		err = c.srv.streamInt(m.impl, ss, info, m.stream.Handler)
	}
	c.ctx.detach()
	c.finish(err)
	c.recycle()
}

func (s *serverStream) Context() context.Context        { return s.user }
func (s *serverStream) SetHeader(md metadata.MD) error  { return s.ctx.SetHeader(md) }
func (s *serverStream) SendHeader(md metadata.MD) error { return s.ctx.SendHeader(md) }
func (s *serverStream) SetTrailer(md metadata.MD)       { s.ctx.SetTrailer(md) }

func (s *serverStream) SendMsg(m any) error {
	c := s.call
	m, comp, err := outgoing(m, c.comp)
	if err != nil {
		return err
	}
	p, length, err := c.codec.encode(m, comp, c.srv.cfg.MaxSendMessage, &c.scratch)
	if err != nil {
		return err
	}
	n := len(p.B) - prefixLen
	s.ctx.use.Lock()
	if s.ctx.call == nil { // the handler has returned
		s.ctx.use.Unlock()
		release(p)
		return errEnded
	}
	if !c.sentHead { // before unlocking: the trailers of a handler that returns meanwhile come behind it
		c.write = h2.Write{Head: c.headBlock(), Hold: true}
		c.Send(c.waitCtx(), &c.write) // an error is that of the next
	}
	c.write = h2.Write{Payload: p, More: s.burst.Add(1) > 2}
	s.ctx.use.Unlock()
	if err := c.Send(c.waitCtx(), &c.write); err != nil {
		return s.sendError(err)
	}
	if h := c.srv.stats; h != nil {
		h.out(c.user, false, m, length, n)
	}
	return nil
}

// sendError is why nothing could be sent.
func (s *serverStream) sendError(err error) error {
	if err == nil {
		return nil
	}
	if ce := s.ctx.Err(); ce != nil {
		return status.FromContextError(ce).Err()
	}
	if errors.Is(err, h2.ErrStreamDone) {
		return status.Error(codes.Internal, "transport: the stream is done or WriteHeader was already called")
	}
	return status.Error(codes.Unavailable, err.Error())
}

func (s *serverStream) RecvMsg(m any) error {
	c := s.call
	s.burst.Store(0)
	b, compressed, err := c.Next(c.waitCtx())
	switch {
	case err == io.EOF:
		return s.atEOF()
	case err != nil:
		return c.receiveError(err)
	}
	if err := c.decodeMessage(b, compressed, m); err != nil {
		return err
	}
	if c.method.stream.ClientStreams {
		return nil
	}
	// The only message: it is not complete before the client has said so.
	c.onlyOne = true
	if _, _, err := c.Next(c.waitCtx()); err == nil {
		return status.Error(codes.Internal, "cardinality violation: received multiple request messages for non-client-streaming RPC")
	} else if err != io.EOF {
		return c.receiveError(err)
	}
	return nil
}

func (s *serverStream) atEOF() error {
	if !s.call.method.stream.ClientStreams && !s.call.onlyOne {
		return errNoRequest
	}
	return io.EOF
}

// An Uncompressed is given to SendMsg in the place of its Message, which then
// goes without compression on a stream that compresses.
type Uncompressed struct{ Message any }

// outgoing returns the message that a stream is given to send, and what
// compresses it.
func outgoing(m any, comp encoding.Compressor) (any, encoding.Compressor, error) {
	switch m := m.(type) {
	case *grpc.PreparedMsg:
		return nil, nil, errPrepared
	case Uncompressed:
		return m.Message, nil, nil
	}
	return m, comp, nil
}

var errPrepared = status.Error(codes.Internal, "fastgrpc: grpc.PreparedMsg is encoded by grpc-go's own streams only; send the message itself, "+
	"or fastgrpc.Uncompressed if it is to go without compression")

// callCtx is also the call's grpc.ServerTransportStream, which grpc.SetHeader and
// its like look for in the context.

// Method returns the full name of the method.
func (c *callCtx) Method() string { return c.method }

// SetHeader adds to the metadata that goes with the response's head.
func (c *callCtx) SetHeader(md metadata.MD) error {
	return c.withCall(func(call *serverCall) error {
		if call.sentHead {
			return errHeaderSent
		}
		var err error
		call.header, err = appendMetadata(call.header, md)
		return err
	})
}

// SendHeader sends the response's head, with what SetHeader has collected.
func (c *callCtx) SendHeader(md metadata.MD) error {
	err := c.SetHeader(md)
	if err != nil {
		return err
	}
	return c.withCall(func(call *serverCall) error {
		w := &h2.Write{Head: call.headBlock()}
		if err := call.Send(context.Background(), w); err != nil {
			return status.Error(codes.Unavailable, err.Error())
		}
		return nil
	})
}

// SetTrailer adds to the metadata that goes behind the response.
func (c *callCtx) SetTrailer(md metadata.MD) error {
	return c.withCall(func(call *serverCall) error {
		var err error
		call.trailer, err = appendMetadata(call.trailer, md)
		return err
	})
}

var errHeaderSent = fmt.Errorf("transport: SendHeader called multiple times: %w", errors.New("the header has already been sent"))

// withCall calls f with the call, if it hasn't ended.
func (c *callCtx) withCall(f func(*serverCall) error) error {
	c.use.Lock()
	defer c.use.Unlock()
	if c.call == nil {
		return errEnded
	}
	return f(c.call)
}

var errEnded = status.Error(codes.Internal, "the call has ended")
