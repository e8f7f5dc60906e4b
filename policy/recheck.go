package policy

import (
	"context"
	"errors"
	"reflect"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/grpcpipe/grpcpipe/internal/creds"
)

// watch runs a stream's handler and decides again at each interval. When the
// caller is refused the handler's context ends and its calls on the stream
// return the refusal, so that it returns.
func (p *Policy) watch(srv any, stream grpc.ServerStream, method string, handler grpc.StreamHandler) error {
	ctx, end := context.WithCancelCause(stream.Context())
	done := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if err := p.again(ctx, method); err != nil {
				end(err)
				return
			}
		}
	}()
	err := handler(srv, &watchedStream{ServerStream: stream, ctx: ctx})
	close(done)
	<-watched
	if cause := refusal(ctx); cause != nil {
		err = cause
	}
	end(nil)
	return err
}

// again repeats the decision about an open stream.
func (p *Policy) again(ctx context.Context, method string) error {
	if caller, ok := creds.FromContext(ctx); ok && !caller.Alive() {
		gone := errors.New("the caller's process is gone")
		p.refused(ctx, method, caller, p.rule(method), gone)
		return status.Error(codes.Canceled, gone.Error())
	}
	return p.Allow(ctx, method)
}

// refusal is the status with which watch has ended the context, if it has.
func refusal(ctx context.Context) error {
	cause := context.Cause(ctx)
	if _, ok := status.FromError(cause); ok && cause != nil {
		return cause
	}
	return nil
}

// A watchedStream ends its handler's calls when its context ends.
type watchedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *watchedStream) Context() context.Context { return s.ctx }

// SendMsg can't be cut short without leaving the message in use by a goroutine
// while the handler has it back.
func (s *watchedStream) SendMsg(m any) error {
	if err := refusal(s.ctx); err != nil {
		return err
	}
	return s.end(s.ServerStream.SendMsg(m))
}

// RecvMsg receives into a message of its own on another goroutine: the call
// below can't be cut short, and may still write into its message when this one
// has returned.
func (s *watchedStream) RecvMsg(m any) error {
	if err := refusal(s.ctx); err != nil {
		return err
	}
	own := another(m)
	if own == nil {
		return s.end(s.ServerStream.RecvMsg(m))
	}
	result := make(chan error, 1)
	go func() { result <- s.ServerStream.RecvMsg(own) }()
	var err error
	select {
	case err = <-result:
	case <-s.ctx.Done():
		if err := refusal(s.ctx); err != nil {
			return err
		}
		err = <-result // the caller has ended the stream, which ends the call
	}
	if err := s.end(err); err != nil {
		return err
	}
	reflect.ValueOf(m).Elem().Set(reflect.ValueOf(own).Elem())
	return nil
}

// end is the result of a call on the stream, which ended with err.
func (s *watchedStream) end(err error) error {
	if why := refusal(s.ctx); why != nil {
		return why
	}
	return err
}

// another returns a new message of m's type, of which a copy of the struct is a
// copy of the message, or nil if that can't be known: then what m holds may
// matter to the codec.
func another(m any) any {
	var own any
	switch m := m.(type) {
	case proto.Message:
		own = m.ProtoReflect().New().Interface()
	case protoadapt.MessageV1:
		own = reflect.New(reflect.TypeOf(m).Elem()).Interface()
	}
	if t := reflect.TypeOf(m); t == nil || t.Kind() != reflect.Pointer || reflect.TypeOf(own) != t {
		return nil
	}
	return own
}
