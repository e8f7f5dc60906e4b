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

// explain adds to the error of a call how its child ended, if it has ended.
func (r *run) explain(err error) error {
	if err == nil || err == io.EOF || status.Code(err) != codes.Unavailable {
		return err
	}
	late := time.NewTimer(endDelay)
	defer late.Stop()
	select {
	case <-r.ended:
		s := status.Convert(err).Proto()
		s.Message = "the child " + r.String() + " ended: " + r.problem().Error() + " [" + s.Message + "]"
		return status.FromProto(s).Err()
	case <-late.C:
		return err
	}
}

func (p *Process) explainUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoker grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	r := p.current()
	return r.explain(invoker(ctx, method, req, reply, cc, opts...))
}

func (p *Process) explainStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, streamer grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	r := p.current()
	s, err := streamer(ctx, desc, cc, method, opts...)
	if err != nil {
		return nil, r.explain(err)
	}
	return &explainedStream{ClientStream: s, run: r}, nil
}

type explainedStream struct {
	grpc.ClientStream
	run *run
}

func (s *explainedStream) RecvMsg(m any) error { return s.run.explain(s.ClientStream.RecvMsg(m)) }
