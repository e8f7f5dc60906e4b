package fastgrpc

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
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
	chat    bool // one message is sent for each that is received
	apart   bool // another goroutine receives, and may outlive the handler
	exit    bool // it ends its goroutine
	lock    bool // it locks its thread
	// The client's.
	open    int           // of a chat: how many messages may be unanswered
	endless bool          // no deadline but limit
	limit   time.Duration // deadline, or 0
	cancel  time.Duration // or 0
	wait    bool          // for ready
	rest    time.Duration // between messages
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
	if p.kind.ClientStreams && p.kind.ServerStreams && sometimes(2) {
		p.chat, p.open = true, 1+rng.IntN(3)
		p.up = make([]int, 1+rng.IntN(32))
		for i := range p.up {
			p.up[i] = rng.IntN(1 + min(most, 1<<rng.IntN(14)))
		}
		p.down, p.reads = p.up, len(p.up)
		if sometimes(2) {
			p.reads, p.code = rng.IntN(len(p.up)), codes.Aborted
		}
	}
	p.apart = p.kind.ClientStreams && sometimes(3)
	if p.lock = sometimes(20); sometimes(20) {
		p.exit, p.code = true, codes.Internal
	}
	p.endless = sometimes(2)
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
	over := make(chan struct{})
	defer sending.Wait()
	defer close(over)
	answered := make(chan struct{}, len(p.down)+p.open)
	for range p.open {
		answered <- struct{}{}
	}
	sending.Go(func() {
		for i := range p.up {
			if p.chat {
				select {
				case <-answered:
				case <-st.Context().Done():
					return
				case <-over:
					return
				}
			}
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
		answered <- struct{}{}
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
