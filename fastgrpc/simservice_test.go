package fastgrpc

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A simService serves plans, and counts how often.
type simService struct {
	sim    *sim
	mu     sync.Mutex
	served map[uint64]int
	now    atomic.Int32
}

const simIDKey = "sim-id"

// begin finds the plan of a call.
func (s *simService) begin(ctx context.Context) (*simPlan, error) {
	s.now.Add(1)
	md, _ := metadata.FromIncomingContext(ctx)
	var id uint64
	if v := md.Get(simIDKey); len(v) == 1 {
		fmt.Sscan(v[0], &id)
	}
	p := s.sim.plans[id]
	if p == nil {
		s.sim.fault("a call of nobody's: %v", md)
		return nil, status.Error(codes.Internal, "no plan")
	}
	s.mu.Lock()
	s.served[id]++
	s.mu.Unlock()
	if p.header {
		grpc.SetHeader(ctx, metadata.Pairs("sim-head", fmt.Sprint(id)))
	}
	if p.trailer {
		grpc.SetTrailer(ctx, metadata.Pairs("sim-trail", fmt.Sprint(id)))
	}
	return p, nil
}

// outcome is how the handler ends.
func (p *simPlan) outcome() error {
	if p.lock {
		runtime.LockOSThread()
	}
	if p.exit {
		runtime.Goexit()
	}
	if p.code != codes.OK {
		return status.Error(p.code, "as planned")
	}
	return nil
}

// dwell takes time, unless the call ends.
func dwell(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

func simUnary(srv any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
	s := srv.(*simService)
	p, err := s.begin(ctx)
	defer s.now.Add(-1)
	if err != nil {
		return nil, err
	}
	var in wrapperspb.BytesValue
	if err := dec(&in); err != nil {
		return nil, err
	}
	if err := p.check(&in, false, 0); err != nil {
		s.sim.fault("server, call %d: %v", p.id, err)
	}
	dwell(ctx, p.pause)
	if err := p.outcome(); err != nil {
		return nil, err
	}
	return p.body(true, 0), nil
}

func simStream(srv any, st grpc.ServerStream) error {
	s := srv.(*simService)
	p, err := s.begin(st.Context())
	defer s.now.Add(-1)
	if err != nil {
		return err
	}
	send := func(from, to int) error {
		for i := from; i < to; i++ {
			if err := st.SendMsg(p.body(true, i)); err != nil {
				return err
			}
		}
		return nil
	}
	ahead := p.ahead
	if !p.kind.ClientStreams || p.chat {
		ahead = 0
	}
	if p.kind.ServerStreams {
		if err := send(0, ahead); err != nil {
			return err
		}
	}
	recv := func(i int) error { return s.receive(st, p, i) }
	if p.apart {
		left := make(chan struct{})
		defer close(left)
		recv = s.receiveApart(st, p, left)
	}
	for i := 0; i < p.reads || p.reads == len(p.up); i++ {
		if err := recv(i); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		dwell(st.Context(), p.pause)
		if p.chat {
			if err := send(i, i+1); err != nil {
				return err
			}
		}
		if !p.kind.ClientStreams {
			break
		}
	}
	if err := p.outcome(); err != nil || p.chat {
		return err
	}
	if !p.kind.ServerStreams {
		return st.SendMsg(p.body(true, 0))
	}
	return send(ahead, len(p.down))
}

// receive receives a stream's message i.
func (s *simService) receive(st grpc.ServerStream, p *simPlan, i int) error {
	var in wrapperspb.BytesValue
	err := st.RecvMsg(&in)
	if err == io.EOF && i != len(p.up) {
		s.sim.fault("server, call %d: the client's stream ends in order after %d of %d messages (%+v)", p.id, i, len(p.up), *p)
	}
	if err == nil {
		if err := p.check(&in, false, i); err != nil {
			s.sim.fault("server, call %d: %v", p.id, err)
		}
	}
	return err
}

// receiveApart receives on another goroutine, which goes on when the handler has
// left, until it is told that the stream has ended.
func (s *simService) receiveApart(st grpc.ServerStream, p *simPlan, left <-chan struct{}) func(int) error {
	came := make(chan error)
	s.now.Add(1)
	go func() {
		defer s.now.Add(-1)
		for i := 0; ; i++ {
			err := s.receive(st, p, i)
			select {
			case came <- err:
			case <-left:
			}
			if err != nil {
				return
			}
		}
	}()
	return func(int) error { return <-came }
}

var simDesc = grpc.ServiceDesc{
	ServiceName: "sim.Service", HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{MethodName: "Unary", Handler: simUnary}},
	Streams: []grpc.StreamDesc{
		{StreamName: "Up", ClientStreams: true, Handler: simStream},
		{StreamName: "Down", ServerStreams: true, Handler: simStream},
		{StreamName: "Both", ClientStreams: true, ServerStreams: true, Handler: simStream},
	},
}
