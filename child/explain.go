package child

import (
	"context"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// endDelay is how long a failed call waits to learn whether its child has
// ended: the connection breaks a moment before the process can be waited for.
const endDelay = 250 * time.Millisecond

// current returns the run that serves calls now.
func (p *Process) current() *run {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run
}

// explain adds to the error of a call, with the context ctx and served by the run
// r, how the child ended, if it has ended. The channel of a child that has ended
// may be closed before the call learns of the connection's end; that is no
// cancellation.
func (p *Process) explain(ctx context.Context, r *run, err error) error {
	if err == nil || err == io.EOF {
		return err
	}
	switch status.Code(err) {
	case codes.Unavailable:
		late := time.NewTimer(endDelay)
		defer late.Stop()
		select {
		case <-r.ended:
		case <-late.C:
			return err
		}
	case codes.Canceled:
		if isClosed(ctx.Done()) || isClosed(p.closing) || !isClosed(r.ended) {
			return err
		}
	default:
		return err
	}
	s := status.Convert(err).Proto()
	s.Code = int32(codes.Unavailable)
	s.Message = "the child " + r.String() + " ended: " + r.problem().Error() + " [" + s.Message + "]"
	return status.FromProto(s).Err()
}

func (p *Process) explainUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	r := p.current()
	return p.explain(ctx, r, invoker(ctx, method, req, reply, cc, opts...))
}

func (p *Process) explainStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	r := p.current()
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, p.explain(ctx, r, err)
	}
	return &explainedStream{s, func(err error) error { return p.explain(ctx, r, err) }}, nil
}

type explainedStream struct {
	grpc.ClientStream
	explain func(error) error
}

func (s *explainedStream) RecvMsg(m any) error { return s.explain(s.ClientStream.RecvMsg(m)) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
