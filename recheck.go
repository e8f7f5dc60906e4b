package grpcpipe

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// watch runs a stream's handler and asks again and again whether its caller is
// still there and still allowed. When it isn't, the handler's context ends and
// its pending and later calls on the stream return the refusal, so that it
// returns.
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

// again repeats the decision about a stream that is under way.
func (p *Policy) again(ctx context.Context, method string) error {
	if caller, ok := PeerFromContext(ctx); ok && !caller.Alive() {
		gone := errors.New("the caller's process has gone")
		p.refused(ctx, method, caller, p.rule(method), gone)
		return status.Error(codes.Canceled, gone.Error())
	}
	return p.Allow(ctx, method)
}

// refusal is the status for which watch has ended the context, if it has.
func refusal(ctx context.Context) error {
	cause := context.Cause(ctx)
	if _, ok := status.FromError(cause); ok && cause != nil {
		return cause
	}
	return nil
}

// A watchedStream ends its handler's calls when its context ends. A call to the
// stream below can't be cut short, so it runs beside; it ends when the handler
// has returned, and nobody looks at its message then.
type watchedStream struct {
	grpc.ServerStream
	ctx context.Context
}

func (s *watchedStream) Context() context.Context { return s.ctx }

func (s *watchedStream) RecvMsg(m any) error {
	return s.beside(func() error { return s.ServerStream.RecvMsg(m) })
}

func (s *watchedStream) SendMsg(m any) error {
	return s.beside(func() error { return s.ServerStream.SendMsg(m) })
}

func (s *watchedStream) beside(call func() error) error {
	if err := refusal(s.ctx); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() { result <- call() }()
	select {
	case err := <-result:
		return err
	case <-s.ctx.Done():
		if err := refusal(s.ctx); err != nil {
			return err
		}
		return <-result // the caller has ended the stream, which ends the call
	}
}
