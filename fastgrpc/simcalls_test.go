package fastgrpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A simPlan is all that is to happen in a call. Both ends know it by its number.
type simPlan struct {
	id       uint64
	up, down []int // sizes of messages
	kind     *grpc.StreamDesc
	code     codes.Code
	// The handler's: after how many messages it stops reading, how long it takes for
	// each, and what it sends before it reads.
	reads   int
	pause   time.Duration
	ahead   int
	header  bool
	trailer bool
	// The client's.
	limit  time.Duration // deadline, or 0
	cancel time.Duration // or 0
	wait   bool          // for ready
	rest   time.Duration // between messages
}

var simKinds = []*grpc.StreamDesc{
	{StreamName: "Unary"},
	{StreamName: "Up", ClientStreams: true},
	{StreamName: "Down", ServerStreams: true},
	{StreamName: "Both", ClientStreams: true, ServerStreams: true},
}

func newSimPlan(seed, id uint64, most int) *simPlan {
	rng := rand.New(rand.NewPCG(seed, id))
	p := &simPlan{id: id, kind: simKinds[rng.IntN(4)]}
	sizes := func(many bool) []int {
		n := 1
		if many {
			n = rng.IntN(1 + 1<<rng.IntN(6))
		}
		all := make([]int, n)
		for i := range all {
			all[i] = rng.IntN(1 + min(most, 1<<rng.IntN(20)))
		}
		return all
	}
	short := func() time.Duration { return time.Duration(rng.Int64N(int64(time.Millisecond) << rng.IntN(8))) }
	sometimes := func(of int) bool { return rng.IntN(of) == 0 }
	p.up, p.down = sizes(p.kind.ClientStreams), sizes(p.kind.ServerStreams)
	p.reads = len(p.up)
	if p.kind.ClientStreams && sometimes(6) {
		p.reads = rng.IntN(len(p.up) + 1)
	}
	if sometimes(6) {
		p.code = codes.Aborted
	}
	if sometimes(3) {
		p.pause = short()
	}
	if sometimes(3) {
		p.rest = short()
	}
	p.ahead = rng.IntN(len(p.down) + 1)
	p.header, p.trailer = sometimes(3), sometimes(3)
	if sometimes(4) {
		p.limit = time.Millisecond + short()
	}
	if sometimes(5) {
		p.cancel = time.Microsecond + short()
	}
	p.wait = sometimes(3)
	return p
}

// body is the content of a message.
func (p *simPlan) body(down bool, i int) *wrapperspb.BytesValue {
	n := p.up
	dir := uint64(0)
	if down {
		n, dir = p.down, 1
	}
	b := make([]byte, 8+n[i])
	binary.BigEndian.PutUint64(b, p.id<<24|uint64(i)<<1|dir)
	x := p.id*2654435761 + uint64(i)*2 + dir + 1
	for j := 8; j < len(b); j++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[j] = byte(x)
	}
	return wrapperspb.Bytes(b)
}

// check says what is wrong with a message.
func (p *simPlan) check(m *wrapperspb.BytesValue, down bool, i int) error {
	if sizes := len(p.up); !down && i >= sizes || down && i >= len(p.down) {
		return fmt.Errorf("message %d (down: %v), which was never sent", i, down)
	}
	if want := p.body(down, i); !bytes.Equal(m.Value, want.Value) {
		return fmt.Errorf("message %d (down: %v) of %d bytes is wrong, want %d bytes", i, down, len(m.Value), len(want.Value))
	}
	return nil
}

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

func (p *simPlan) outcome() error {
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
	if !p.kind.ClientStreams {
		ahead = 0
	}
	if p.kind.ServerStreams {
		if err := send(0, ahead); err != nil {
			return err
		}
	}
	for i := 0; i < p.reads || p.reads == len(p.up); i++ {
		var in wrapperspb.BytesValue
		err := st.RecvMsg(&in)
		if err == io.EOF {
			if i != len(p.up) {
				s.sim.fault("server, call %d: the client's stream ends in order after %d of %d messages (%+v)", p.id, i, len(p.up), *p)
			}
			break
		}
		if err != nil {
			return err
		}
		if err := p.check(&in, false, i); err != nil {
			s.sim.fault("server, call %d: %v", p.id, err)
		}
		dwell(st.Context(), p.pause)
		if !p.kind.ClientStreams {
			break
		}
	}
	if p.code != codes.OK {
		return p.outcome()
	}
	if !p.kind.ServerStreams {
		return st.SendMsg(p.body(true, 0))
	}
	return send(ahead, len(p.down))
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

// call makes the planned call and returns how it ended.
func (p *simPlan) call(ctx context.Context, cc *ClientConn) error {
	ctx = metadata.AppendToOutgoingContext(ctx, simIDKey, fmt.Sprint(p.id))
	if p.limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.limit)
		defer cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if p.cancel > 0 {
		defer time.AfterFunc(p.cancel, cancel).Stop()
	}
	var head, trail metadata.MD
	opts := []grpc.CallOption{grpc.WaitForReady(p.wait)}
	method := "/sim.Service/" + p.kind.StreamName
	if p.kind == simKinds[0] {
		if p.header || p.trailer {
			opts = append(opts, grpc.Header(&head), grpc.Trailer(&trail))
		}
		var out wrapperspb.BytesValue
		if err := cc.Invoke(ctx, method, p.body(false, 0), &out, opts...); err != nil {
			return err
		}
		if err := p.check(&out, true, 0); err != nil {
			return wrong(err)
		}
		return p.checkMetadata(head, trail)
	}
	st, err := cc.NewStream(ctx, p.kind, method, opts...)
	if err != nil {
		return err
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	sending.Go(func() {
		for i := range p.up {
			if st.SendMsg(p.body(false, i)) != nil {
				return
			}
			dwell(ctx, p.rest)
		}
		st.CloseSend()
	})
	for i := 0; ; i++ {
		var out wrapperspb.BytesValue
		switch err := st.RecvMsg(&out); {
		case err == io.EOF && i < len(p.down):
			return wrong(fmt.Errorf("OK after %d of %d messages", i, len(p.down)))
		case err == io.EOF || err == nil && !p.kind.ServerStreams:
			if err == nil {
				if err := p.check(&out, true, i); err != nil {
					return wrong(err)
				}
			}
			head, _ := st.Header()
			return p.checkMetadata(head, st.Trailer())
		case err != nil:
			return err
		}
		if err := p.check(&out, true, i); err != nil {
			return wrong(err)
		}
	}
}

// errWrong is a call that ended as none may.
type errWrong struct{ error }

func wrong(err error) error { return errWrong{err} }

// checkMetadata checks that of a call that ended with OK.
func (p *simPlan) checkMetadata(head, trail metadata.MD) error {
	if p.code != codes.OK {
		return wrong(fmt.Errorf("OK in place of %v", p.code))
	}
	id := fmt.Sprint(p.id)
	if got := head.Get("sim-head"); p.header && (len(got) != 1 || got[0] != id) {
		return wrong(fmt.Errorf("header %v", head))
	}
	if got := trail.Get("sim-trail"); p.trailer && (len(got) != 1 || got[0] != id) {
		return wrong(fmt.Errorf("trailer %v", trail))
	}
	return nil
}
