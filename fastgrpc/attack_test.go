package fastgrpc_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/load"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// An attacker is a client of frames, with a writer of its own and a goroutine
// that reads, if it is to read.
type attacker struct {
	net.Conn
	*http2.Framer
	w    *bufio.Writer
	enc  *hpack.Encoder
	head bytes.Buffer
	next uint32

	answers atomic.Int64 // RST_STREAM, and headers that end a stream
	gone    chan struct{}
	code    http2.ErrCode // of the server's GOAWAY, once gone is closed
	told    bool          // there was one
}

// newAttacker connects, and sends the preface and settings.
func newAttacker(ctx context.Context, pipe string, reads bool, settings ...http2.Setting) (*attacker, error) {
	c, err := namedpipe.Dial(ctx, pipe)
	if err != nil {
		return nil, err
	}
	a := &attacker{Conn: c, w: bufio.NewWriterSize(c, 32<<10), next: 1, gone: make(chan struct{})}
	a.Framer = http2.NewFramer(a.w, c)
	a.AllowIllegalWrites = true
	a.enc = hpack.NewEncoder(&a.head)
	c.SetDeadline(time.Now().Add(20 * time.Second))
	a.w.WriteString(http2.ClientPreface)
	a.WriteSettings(settings...)
	if reads {
		go a.read()
	} else {
		close(a.gone)
	}
	return a, a.w.Flush()
}

func (a *attacker) read() {
	defer close(a.gone)
	for {
		f, err := a.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.RSTStreamFrame:
			a.answers.Add(1)
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				a.answers.Add(1)
			}
		case *http2.GoAwayFrame:
			a.code, a.told = f.ErrCode, true
		}
	}
}

// fields encodes a header list. It is valid until the next one.
func (a *attacker) fields(fields ...hpack.HeaderField) []byte {
	a.head.Reset()
	for _, f := range fields {
		a.enc.WriteField(f)
	}
	return a.head.Bytes()
}

// request is the header list of a call.
func (a *attacker) request(path string, more ...hpack.HeaderField) []byte {
	return a.fields(append([]hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: path},
		{Name: ":authority", Value: "localhost"}, {Name: "te", Value: "trailers"}, {Name: "content-type", Value: "application/grpc"},
	}, more...)...)
}

// open begins a stream and returns its id.
func (a *attacker) open(block []byte, end bool) uint32 {
	id := a.next
	a.next += 2
	a.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: end})
	return id
}

const (
	emptyCall  = "/grpc.testing.TestService/EmptyCall"
	duplexCall = "/grpc.testing.TestService/FullDuplexCall"
	outputCall = "/grpc.testing.TestService/StreamingOutputCall"
)

// An attack is what a bad client does over and over on one connection until the
// server cuts it, and then on the next.
type attack struct {
	name string
	// code is what the server ends the connection with, and cut says that it must
	// end it at all.
	code http2.ErrCode
	cut  bool
	// deaf attackers read nothing; so they don't learn the code.
	deaf     bool
	settings []http2.Setting
	limits   fastgrpc.Limits
	// prepare, if not nil, comes before the steps.
	prepare func(a *attacker)
	step    func(a *attacker)
	// heap is how much memory both ends may take at most, garbage too, in MiB. 0
	// means 64.
	heap float64
}

// run attacks until ctx ends and counts the connections that it took.
func (k *attack) run(ctx context.Context, pipe string, conns *atomic.Int64) (err error) {
	for ctx.Err() == nil {
		a, err := newAttacker(ctx, pipe, !k.deaf, k.settings...)
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return err
		}
		conns.Add(1)
		stop := context.AfterFunc(ctx, func() { a.Close() })
		if k.prepare != nil {
			k.prepare(a)
		}
		for err = nil; err == nil && ctx.Err() == nil; err = a.w.Flush() {
			for range 64 {
				k.step(a)
			}
		}
		if !k.deaf && ctx.Err() == nil {
			a.SetReadDeadline(time.Now().Add(10 * time.Second))
			<-a.gone
			switch {
			case ctx.Err() != nil: // it was us
				err = nil
			case !k.cut:
				err = fmt.Errorf("the server ended the connection: %v", a.code)
			case !a.told:
				err = errors.New("the server ended the connection without a GOAWAY")
			case a.code != k.code:
				err = fmt.Errorf("the server ended the connection by %v, want %v", a.code, k.code)
			default:
				err = nil
			}
		} else {
			err = nil
		}
		stop()
		a.Close()
		<-a.gone
		if err != nil {
			return err
		}
	}
	return nil
}

// watchHeap returns a function that ends the watch and says the largest size of
// the live heap meanwhile, in MiB, above that at the beginning.
func watchHeap() func() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() uint64 { metrics.Read(sample); return sample[0].Value.Uint64() }
	base := read()
	most := base
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				most = max(most, read())
			}
		}
	})
	return func() float64 {
		close(done)
		wg.Wait()
		return float64(most-base) / (1 << 20)
	}
}

// honest makes calls, one after the other, for a while.
func honest(t *testing.T, cc *fastgrpc.ClientConn, d time.Duration) *load.Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d+20*time.Second)
	defer cancel()
	client := testpb.NewTestServiceClient(cc)
	req := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 64)}, ResponseSize: 64}
	r := load.Run(ctx, load.Config{Workers: 1, Duration: d, Call: func(int) error {
		_, err := client.UnaryCall(ctx, req)
		return err
	}})
	if len(r.Errors) > 0 {
		t.Errorf("an honest client's calls fail: %v", r.FirstErrors)
	}
	if r.Calls == 0 {
		t.Error("an honest client got no answer at all")
	}
	return r
}

// attackTime is how long each attack lasts.
func attackTime() time.Duration { return time.Duration(soak.N(2000)) * time.Millisecond }

// slowest is what the slowest but 1 % of an honest client's calls may take beside
// an attack, on a machine whose processors the attacker shares.
const slowest = 500 * time.Millisecond

// TestSoakAttacks: whatever one client does, an honest one beside it is served,
// memory stays within bounds, and who goes too far is cut with the right code.
func TestSoakAttacks(t *testing.T) {
	for _, k := range attacks {
		t.Run(k.name, func(t *testing.T) {
			pipe := testproc.PipeName()
			lis, err := namedpipe.Listen(t.Context(), pipe)
			if err != nil {
				t.Fatal(err)
			}
			s := fastgrpc.NewServer(fastgrpc.ServerConfig{Limits: k.limits})
			interoptest.Register(s)
			served := make(chan struct{})
			go func() { defer close(served); s.Serve(lis) }()
			defer func() { s.Stop(); <-served }()
			cc := newClient(t, pipe)
			defer cc.Close()
			before := honest(t, cc, attackTime())

			ctx, cancel := context.WithCancel(t.Context())
			heap := watchHeap()
			var conns atomic.Int64
			var attackErr error
			var wg sync.WaitGroup
			wg.Go(func() { attackErr = k.run(ctx, pipe, &conns) })
			beside := honest(t, cc, attackTime())
			for end := time.Now().Add(5 * time.Second); k.cut && conns.Load() < 2 && time.Now().Before(end); {
				honest(t, cc, attackTime()) // a slow machine has not come to it yet
			}
			cancel()
			wg.Wait()
			grown := heap()
			if attackErr != nil {
				t.Error(attackErr)
			}
			if k.cut && conns.Load() < 2 {
				t.Error("the server never cut the attacker")
			}
			if limit := max(k.heap, 128); grown > limit {
				t.Errorf("the heap grew by %.0f MiB, want %.0f at most", grown, limit)
			}
			if p := beside.Percentile(99); p > slowest {
				t.Errorf("p99 of an honest client's calls: %v", p)
			}
			fate := fmt.Sprintf("%d attackers cut", conns.Load()-1)
			if !k.cut {
				fate = "not cut"
			}
			soak.Report(t, "attack beside an honest client: "+k.name, fmt.Sprintf("no call fails, p99 below %v", slowest),
				fmt.Sprintf("%.0f calls a second, p50 %v, p99 %v, alone %.0f, %v, %v; heap +%.0f MiB; %s",
					rate(beside), beside.Percentile(50).Round(time.Microsecond), beside.Percentile(99).Round(time.Microsecond),
					rate(before), before.Percentile(50).Round(time.Microsecond), before.Percentile(99).Round(time.Microsecond), grown, fate))
		})
	}
}

func rate(r *load.Result) float64 { return float64(r.Calls) / r.Elapsed.Seconds() }
