package inspect

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// A Call is a call of any kind. One goroutine at a time may send, and one may
// receive; all other methods are safe for concurrent use.
type Call struct {
	Method protoreflect.MethodDescriptor

	session *Session
	listed  bool
	stream  grpc.ClientStream
	cancel  context.CancelFunc

	mu    sync.Mutex
	times Times
	ended bool
}

// Times are when the parts of a call happened, as time since its beginning; 0
// if they have not.
type Times struct {
	Began   time.Time
	Headers time.Duration // the server's headers came
	First   time.Duration // the first message came
	End     time.Duration // the status came
}

// Start begins a call. sch is the schema that the method is from. The caller
// must call Receive until it fails, or Cancel.
func (s *Session) Start(ctx context.Context, sch *Schema, m protoreflect.MethodDescriptor, headers metadata.MD, opts ...grpc.CallOption) (*Call, error) {
	ctx, cancel := context.WithCancel(withHeaders(ctx, headers))
	c := &Call{Method: m, session: s, listed: sch.FromServer, cancel: cancel, times: Times{Began: time.Now()}}
	desc := &grpc.StreamDesc{StreamName: string(m.Name()), ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer()}
	stream, err := s.NewStream(ctx, desc, MethodPath(m), opts...)
	if err != nil {
		cancel()
		return nil, s.StatusError(MethodPath(m)[1:], c.listed, err)
	}
	c.stream = stream
	return c, nil
}

// NewRequest returns an empty request.
func (c *Call) NewRequest() *dynamicpb.Message { return dynamicpb.NewMessage(c.Method.Input()) }

// Send sends a request. io.EOF means that the call has ended: Receive returns
// the reason.
func (c *Call) Send(m proto.Message) error { return c.stream.SendMsg(m) }

// CloseSend tells the server that no more requests follow.
func (c *Call) CloseSend() error { return c.stream.CloseSend() }

// Cancel ends the call, if it has not ended.
func (c *Call) Cancel() { c.cancel() }

// Receive returns the next response, io.EOF when the call has ended well, and
// otherwise an *Error with the status.
func (c *Call) Receive() (*dynamicpb.Message, error) {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	if ended {
		return nil, io.EOF
	}
	m := dynamicpb.NewMessage(c.Method.Output())
	err := c.stream.RecvMsg(m)
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Since(c.times.Began)
	if c.times.First == 0 && err == nil {
		c.times.First = now
	}
	single := !c.Method.IsStreamingServer()
	if err == nil && !single {
		return m, nil
	}
	c.times.End, c.ended = now, true
	c.cancel()
	switch {
	case err == nil:
		return m, nil
	case !errors.Is(err, io.EOF):
		return nil, c.session.StatusError(MethodPath(c.Method)[1:], c.listed, err)
	case single:
		return nil, c.session.StatusError(MethodPath(c.Method)[1:], c.listed, status.Error(codes.Internal, "the server ended a unary call without a response"))
	}
	return nil, io.EOF
}

// Headers waits for the server's headers and returns them, or nil if the call
// ended without headers.
func (c *Call) Headers() metadata.MD {
	md, err := c.stream.Header()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.times.Headers == 0 && err == nil {
		c.times.Headers = time.Since(c.times.Began)
	}
	return md
}

// Trailers returns the server's trailers, once Receive has failed or, for one
// response, returned it.
func (c *Call) Trailers() metadata.MD { return c.stream.Trailer() }

// Times returns when the parts of the call happened.
func (c *Call) Times() Times {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.times
}

// CallOnce makes a call with one request and drops the responses, for callers
// that measure. reply returns a message to receive into.
func (s *Session) CallOnce(ctx context.Context, path string, stream bool, request proto.Message, reply func() *dynamicpb.Message) error {
	if !stream {
		return s.Invoke(ctx, path, request, reply())
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c, err := s.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
	if err != nil {
		return err
	}
	if err := c.SendMsg(request); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if err := c.CloseSend(); err != nil {
		return err
	}
	for m := reply(); err == nil; {
		err = c.RecvMsg(m)
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}
