package fastgrpc

import (
	"context"
	"io"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A clientStream is a streaming call as its caller sees it. Nothing of it is
// used again, since nobody says when the caller has let go of it.
type clientStream struct {
	call clientCall
	ctx  context.Context
	desc *grpc.StreamDesc

	burst atomic.Int32 // messages sent since the last receiving
	stop  func() bool  // takes the watch off ctx

	send     sync.Mutex  // held while sending
	kept     []byte      // what was sent, to make the call again of
	final    bool        // kept is not all: the call can't be made again
	answered atomic.Bool // nor then
	repeated bool

	mu       sync.Mutex
	opening  chan struct{} // closed when the call has been made again; nil if it isn't being made
	sentEnd  bool
	finished bool
	err      error // how it finished; io.EOF for OK
	header   metadata.MD
	trailer  metadata.MD
	got      bool // header is made
	one      bool // the one message of a method without a server stream has come
}

// NewStream begins a streaming call.
func (cc *ClientConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	if len(cc.defaults) > 0 {
		opts = append(cc.defaults[:len(cc.defaults):len(cc.defaults)], opts...)
	}
	if cc.streamInt != nil {
		return cc.streamInt(ctx, desc, method, opts)
	}
	return cc.newStream(ctx, desc, method, opts)
}

func (cc *ClientConn) newStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
	s := &clientStream{desc: desc}
	c := &s.call
	err := c.prepare(cc, ctx, method, opts)
	if err == nil {
		if cc.cfg.StatsHandlers != nil {
			ctx = c.beginStats(ctx, method, desc.ClientStreams, desc.ServerStreams)
			c.ctx = ctx
		}
		if err = c.outgoing(); err == nil {
			if err = c.open(ctx, h2.Payload{}, false); err != nil {
				err = c.fail(err)
			}
		}
	}
	if err != nil {
		c.over(err)
		c.leaveLink()
		return nil, err
	}
	s.ctx = ctx
	if ctx.Done() != nil {
		s.stop = context.AfterFunc(ctx, func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.opening == nil { // which ctx ends too
				s.finishLocked(c.fail(ctx.Err()))
			}
		})
	}
	return s, nil
}

func (s *clientStream) Context() context.Context { return s.ctx }

// Header waits for the response's head.
func (s *clientStream) Header() (metadata.MD, error) {
	for {
		if err := s.call.WaitHead(s.ctx); err != nil {
			s.finish(s.call.fail(err))
		} else if s.repeat(s.call.Received().Err) {
			continue
		} else if err := s.checkHead(); err != nil {
			return nil, err
		}
		break
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished && s.header == nil && s.err != io.EOF {
		return nil, s.err
	}
	s.makeHeader()
	return s.header, nil
}

// checkHead ends the call if the response isn't one of gRPC, whose body must not
// be taken for messages.
func (s *clientStream) checkHead() error {
	r := s.call.Received()
	if r.Err != nil || r.Over || !r.GotHead {
		return nil // outcome says so
	}
	if err := checkResponse(r.Head); err != nil {
		return s.finish(err)
	}
	return nil
}

// makeHeader makes the metadata of the head. s.mu is held.
func (s *clientStream) makeHeader() {
	if s.got || s.finished {
		return
	}
	r := s.call.Received()
	if !r.GotHead || r.Ended && len(r.Trail) == 0 { // not there, or trailers only
		return
	}
	s.got = true
	s.header, _ = received(r.Head)
}

// Trailer returns the trailers of a call that has ended.
func (s *clientStream) Trailer() metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer
}

// lock locks send and mu, and waits for that while the call is being made again.
func (s *clientStream) lock() {
	for {
		s.send.Lock()
		s.mu.Lock()
		opening := s.opening
		if opening == nil {
			return
		}
		s.mu.Unlock()
		s.send.Unlock()
		<-opening
	}
}

// CloseSend says that no more messages come.
func (s *clientStream) CloseSend() error {
	s.lock()
	defer s.send.Unlock()
	done := s.sentEnd || s.finished
	s.sentEnd = true
	s.mu.Unlock()
	if !done {
		s.call.Send(s.ctx, &h2.Write{End: true}) // receiving says what became of it
	}
	return nil
}

// SendMsg sends a message. It returns io.EOF if the call has ended; RecvMsg says
// how.
func (s *clientStream) SendMsg(m any) error {
	c := &s.call
	m, comp, err := outgoing(m, c.comp)
	if err != nil {
		return err
	}
	s.lock()
	defer s.send.Unlock()
	end := !s.desc.ClientStreams
	finished := s.finished
	s.sentEnd = s.sentEnd || end
	s.mu.Unlock()
	if finished {
		return s.sendDone(end)
	}
	p, length, err := c.codec.encode(m, comp, c.maxSend, &c.scratch)
	if err != nil {
		s.finish(err)
		return err
	}
	s.keep(p.B)
	n := len(p.B) - prefixLen
	c.write = h2.Write{Payload: p, End: end, More: !end && s.burst.Add(1) > 2}
	if err := c.Send(s.ctx, &c.write); err != nil {
		if err == h2.ErrStreamDone && s.mayRepeat(c.Received().Err) {
			return nil // whoever receives sees to it
		}
		if err != h2.ErrStreamDone {
			s.finish(c.fail(err))
		}
		return s.sendDone(end)
	}
	if c.stats != nil {
		c.stats.out(c.stats.ctx, true, m, length, n)
	}
	return nil
}

func (s *clientStream) sendDone(only bool) error {
	if only {
		return nil
	}
	return io.EOF
}

// RecvMsg receives a message. It returns io.EOF when the call has ended well.
func (s *clientStream) RecvMsg(m any) error {
	c := &s.call
	s.burst.Store(0)
	s.mu.Lock()
	finished, err := s.finished, s.err
	s.mu.Unlock()
	if finished {
		return err
	}
	b, compressed, err := c.Next(s.ctx)
	for err != nil && s.repeat(err) {
		b, compressed, err = c.Next(s.ctx)
	}
	if !s.answered.Load() {
		if bad := s.checkHead(); bad != nil {
			return bad
		}
		if err == nil {
			s.answered.Store(true)
		}
	}
	if err != nil {
		return s.end(err)
	}
	if c.stats != nil && !c.stats.head {
		r := c.Received()
		c.stats.inHeader(c, &r)
	}
	if err := c.decodeMessage(b, compressed, m); err != nil {
		s.finish(err)
		return err
	}
	if s.desc.ServerStreams {
		return nil
	}
	if _, _, err = c.Next(s.ctx); err == nil {
		err = errManyResponses
		s.finish(err)
		return err
	}
	s.one = true
	if err := s.end(err); err != io.EOF {
		return err
	}
	return nil
}

// end finishes the call after the last message, and returns how.
func (s *clientStream) end(err error) error {
	c := &s.call
	switch {
	case err == io.EOF:
		r := c.Received()
		if err = c.outcome(&r); err == nil {
			err = io.EOF
			if !s.desc.ServerStreams && !s.one {
				err = errNoResponse
			}
		}
	case err == io.ErrUnexpectedEOF:
		// A handler that could not send all of a message says why by its status.
		r := c.Received()
		if status := c.outcome(&r); status != nil {
			err = status
		} else {
			err = c.receiveError(err)
		}
	default:
		err = c.receiveError(err)
	}
	return s.finish(err)
}

// finish ends the call, once, and returns how it ended.
func (s *clientStream) finish(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.finishLocked(err)
}

// finishLocked is finish with s.mu held.
func (s *clientStream) finishLocked(err error) error {
	if s.finished {
		return s.err
	}
	c := &s.call
	s.makeHeader()
	s.finished, s.err = true, err
	r := c.Received()
	if r.Ended && r.Err == nil {
		s.trailer, _ = received(r.Trailers())
	}
	if err == io.EOF {
		c.over(nil)
	} else {
		c.over(err)
	}
	if c.Conn() != nil {
		c.Cancel(h2.Cancel)
	}
	if c.link != nil {
		c.link.release()
	}
	if s.stop != nil {
		s.stop()
	}
	return err
}
