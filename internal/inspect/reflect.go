package inspect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/jhump/protoreflect/v2/grpcreflect"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// reflected is the schema that a server describes. It is queried only when
// needed.
func (s *Session) reflected(ctx context.Context) *Schema {
	ctx, cancel := context.WithCancel(ctx)
	cc := &reflectConn{session: s, timeout: s.cfg.timeout()}
	client := grpcreflect.NewClientAuto(withHeaders(ctx, s.cfg.Headers, s.cfg.ReflectHeaders), cc, grpcreflect.WithAllowMissingFileDescriptors(),
		grpcreflect.WithFallbackResolvers(protoregistry.GlobalFiles, protoregistry.GlobalTypes))
	r := client.AsResolver()
	return &Schema{
		FromServer: true, failed: s.reflectionError, words: &s.cfg.Words, files: r, types: r.AsTypeResolver(),
		list: func() ([]protoreflect.FullName, error) {
			names, err := client.ListServices()
			if err != nil {
				return nil, s.reflectionError(err)
			}
			slices.Sort(names)
			return names, nil
		},
		close: func() { client.Reset(); cancel() },
	}
}

// reflectionError explains why a server did not answer a reflection request.
func (s *Session) reflectionError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	st := status.Convert(err)
	e = &Error{Kind: Status, Status: st}
	switch st.Code() {
	case codes.Unimplemented:
		e.Err = errors.New("the server has no reflection service, so it can't be asked for its methods")
		e.Next = s.cfg.Words.Schema
	case codes.DeadlineExceeded:
		e.Err = fmt.Errorf("the server's reflection service: %s", st.Message())
		e.Next = join("see whether it is a gRPC server and what it is doing", s.cfg.Words.MoreTime)
	default:
		return s.StatusError("reflection", false, err)
	}
	return e
}

// A reflectConn makes the streams of reflection: each answer has its own time
// limit, the size limit of the user's messages doesn't apply, and the headers
// that a server demands are sent only once it demands them.
type reflectConn struct {
	session  *Session
	timeout  time.Duration
	demanded atomic.Bool
}

// Invoke is never called: reflection is a stream.
func (c *reflectConn) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	return status.Error(codes.Unimplemented, "reflection is a stream")
}

func (c *reflectConn) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s := &reflectStream{conn: c, open: func() (grpc.ClientStream, context.CancelFunc, error) {
		ctx, cancel := context.WithCancel(ctx)
		if c.demanded.Load() {
			ctx = withHeaders(ctx, c.session.cfg.Demanded)
		}
		opts := append(opts[:len(opts):len(opts)], grpc.MaxCallRecvMsgSize(max(c.session.cfg.maxMessage(), DefaultMaxMessage)))
		inner, err := c.session.ClientConn.NewStream(ctx, desc, method, opts...)
		return inner, cancel, err
	}}
	var err error
	if s.ClientStream, s.cancel, err = s.open(); err != nil {
		s.cancel()
		return nil, err
	}
	return s, nil
}

// A reflectStream is used by one goroutine at a time, which sends a request and
// then waits for the answer.
type reflectStream struct {
	grpc.ClientStream
	conn   *reflectConn
	open   func() (grpc.ClientStream, context.CancelFunc, error)
	cancel context.CancelFunc
	last   any // the unanswered request
}

func (s *reflectStream) SendMsg(m any) error {
	s.last = m
	return s.ClientStream.SendMsg(m)
}

func (s *reflectStream) RecvMsg(m any) error {
	err := s.receive(m)
	code := status.Code(err)
	if code != codes.Unauthenticated && code != codes.PermissionDenied || len(s.conn.session.cfg.Demanded) == 0 || s.conn.demanded.Swap(true) {
		return err
	}
	inner, cancel, oerr := s.open()
	if oerr != nil {
		cancel()
		return err
	}
	s.cancel()
	s.ClientStream, s.cancel = inner, cancel
	if inner.SendMsg(s.last) != nil {
		return s.receive(m) // it has the reason
	}
	return s.receive(m)
}

func (s *reflectStream) receive(m any) error {
	late := time.AfterFunc(s.conn.timeout, s.cancel)
	err := s.ClientStream.RecvMsg(m)
	if !late.Stop() && err != nil {
		return status.Errorf(codes.DeadlineExceeded, "no answer in %v", s.conn.timeout)
	}
	if err != nil {
		s.cancel()
	}
	return err
}
