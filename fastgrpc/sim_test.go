package fastgrpc

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"runtime"
	"runtime/debug"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/h2"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
)

var (
	simSeed = flag.Uint64("sim.seed", 0, "the one seed that TestSoakSimulation runs; 0 for many")
	simFrom = flag.Uint64("sim.from", 0, "the first seed of many; 0 is a random one")
	simRuns = flag.Int("sim.runs", 0, "how many seeds; 0 for the usual number")
)

// TestSoakSimulation: our two ends against each other, on a network and a clock
// that a seed makes. Bytes come late, in parts, together or not at all, servers
// stop in order and at once, and calls of each kind are canceled and time out.
// Each call ends; one that ends with OK has the right answer; none is served
// twice; no goroutine is left.
func TestSoakSimulation(t *testing.T) {
	if *simSeed != 0 {
		simulate(t, *simSeed, new(simTotals))
		return
	}
	from, runs := *simFrom, *simRuns
	if from == 0 {
		from = rand.Uint64N(1 << 40)
	}
	if runs == 0 {
		runs = soak.N(1000)
	}
	var all simTotals
	done := 0
	for ; done < runs && !t.Failed(); done++ {
		simulate(t, from+uint64(done), &all)
	}
	soak.Report(t, "fastgrpc with fastgrpc, faults by a seed", "each call ends, none is wrong or served twice",
		fmt.Sprintf("%d seeds from %d: %d calls, %d of them OK, on %d connections, %d cut", done, from, all.calls, all.ok, all.conns, all.cuts))
}

type simTotals struct{ calls, ok, conns, cuts int }

// simLimit is how long a simulation may take by the real clock.
const simLimit = time.Minute

// simEnd is when all calls must have ended by the simulation's.
const simEnd = time.Hour

func simulate(t *testing.T, seed uint64, all *simTotals) {
	t.Helper()
	// A goroutine that waits for a mutex keeps the simulated clock from going on.
	stuck := time.AfterFunc(simLimit, func() {
		debug.SetTraceback("all")
		panic(fmt.Sprintf("-sim.seed %d has not ended within %v", seed, simLimit))
	})
	defer stuck.Stop()
	defer func() {
		if p := recover(); p != nil {
			t.Errorf("-sim.seed %d: %v", seed, p)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, seed)
		s.run()
		all.calls += len(s.plans)
		all.ok += s.ok
		all.conns += s.conns
		all.cuts += s.cuts
	})
}

// A sim is one simulation.
type sim struct {
	t     *testing.T
	seed  uint64
	rng   *rand.Rand // the main goroutine's
	mood  mood
	under wire
	plans map[uint64]*simPlan
	svc   *simService

	mu    sync.Mutex
	net   *rand.Rand // of connections
	lis   *simListener
	ok    int
	conns int
	cuts  int
	wrong int // faults that were reported
}

func newSim(t *testing.T, seed uint64) *sim {
	rng := rand.New(rand.NewPCG(seed, 0))
	s := &sim{t: t, seed: seed, rng: rng, net: rand.New(rand.NewPCG(seed, 1)), plans: map[uint64]*simPlan{}}
	pick := func(of ...float64) float64 { return of[rng.IntN(len(of))] }
	s.mood = mood{
		room: 16 << (2 * rng.IntN(9)), split: pick(0, 0.05, 0.5), late: pick(0, 0, 0.1, 0.5), delay: time.Millisecond << rng.IntN(10),
		cut: pick(0, 0.1, 0.3, 0.6), cutTo: 1 << 20, tries: rng.IntN(2) == 0, failing: pick(0, 0, 0.2),
	}
	most := min(s.mood.room*64, 1<<19)
	if s.mood.split > 0.1 {
		most = min(most, 16<<10)
	}
	for id := range uint64(20 + rng.IntN(30)) {
		s.plans[id+1] = newSimPlan(seed, id+1, most)
	}
	s.svc = &simService{sim: s, served: map[uint64]int{}}
	s.under = wire{dial: s.dial, carry: carrySim, guard: h2.NewSentinel()}
	return s
}

func (s *sim) fault(format string, args ...any) {
	s.mu.Lock()
	s.wrong++
	first := s.wrong == 1
	s.mu.Unlock()
	if first {
		s.t.Logf("the seed is run again by -args -sim.seed %d: %+v", s.seed, s.mood)
	}
	s.t.Errorf("seed %d: %s", s.seed, fmt.Sprintf(format, args...))
}

// limits are at random small.
func (s *sim) limits() (l Limits) {
	if s.rng.IntN(2) == 0 {
		l.StreamWindow, l.ConnWindow = 1<<16, 1<<(16+s.rng.IntN(4))
	}
	if s.rng.IntN(3) == 0 {
		l.QueuedBytes = 1 << (8 + s.rng.IntN(8))
	}
	if s.rng.IntN(3) == 0 {
		l.Streams = uint32(1 + s.rng.IntN(5))
	}
	if s.rng.IntN(2) == 0 {
		l.FrameBytes = 16 << 10
	}
	return l
}

// run plays the seed.
func (s *sim) run() {
	done := make(chan struct{})
	late := time.AfterFunc(simEnd, func() {
		buf := make([]byte, 1<<20)
		s.fault("some calls don't end:\n%s", buf[:runtime.Stack(buf, true)])
	})
	defer late.Stop()
	var servers, calls sync.WaitGroup
	s.serve(&servers, done)
	var clients []*ClientConn
	for range 1 + s.rng.IntN(2) {
		clients = append(clients, s.client())
	}
	for id, p := range s.plans {
		cc := clients[id%uint64(len(clients))]
		start := time.Duration(s.rng.Int64N(int64(100 * time.Millisecond)))
		if s.rng.IntN(2) == 0 {
			start = 0
		}
		calls.Go(func() {
			time.Sleep(start)
			ctx := context.Background()
			if !p.endless {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 2*simEnd)
				defer cancel()
			}
			s.judge(p, p.call(ctx, cc))
		})
	}
	calls.Wait()
	close(done)
	for _, cc := range clients {
		cc.Close()
	}
	servers.Wait()
	time.Sleep(time.Minute) // for what ends later by itself
	if n := s.svc.now.Load(); n != 0 {
		s.fault("%d handlers still run", n)
	}
	for id, n := range s.svc.served {
		if n > 1 {
			s.fault("call %d (%+v) was served %d times", id, *s.plans[id], n)
		}
	}
}

// judge checks how a call has ended.
func (s *sim) judge(p *simPlan, err error) {
	var bad errWrong
	switch code := status.Code(err); {
	case err == nil:
		s.svc.mu.Lock()
		n := s.svc.served[p.id]
		s.svc.mu.Unlock()
		if n != 1 {
			s.fault("call %d ended with OK and was served %d times", p.id, n)
		}
		s.mu.Lock()
		s.ok++
		s.mu.Unlock()
	case errors.As(err, &bad):
		s.fault("call %d (%+v): %v", p.id, *p, err)
	case code == codes.Unavailable:
	case code == codes.Canceled && p.cancel > 0:
	case code == codes.DeadlineExceeded && p.limit > 0:
	case code == p.code:
	default:
		s.fault("call %d (%+v) ended by %v", p.id, *p, err)
	}
}

// serve serves until done, by one server after the other.
func (s *sim) serve(running *sync.WaitGroup, done <-chan struct{}) {
	rng := rand.New(rand.NewPCG(s.seed, 2))
	lim := s.limits()
	begin := func() *Server {
		srv := NewServer(ServerConfig{Limits: lim, KeepAlive: keepalive.ServerParameters{Time: time.Duration(rng.IntN(2)) * 10 * time.Second}})
		srv.under = s.under
		srv.RegisterService(&simDesc, s.svc)
		lis := &simListener{conns: make(chan net.Conn), closed: make(chan struct{})}
		s.mu.Lock()
		s.lis = lis
		s.mu.Unlock()
		running.Go(func() { srv.Serve(lis) })
		return srv
	}
	srv := begin()
	running.Go(func() {
		for changes := rng.IntN(4); changes > 0; changes-- {
			select {
			case <-time.After(time.Duration(rng.Int64N(int64(60 * time.Millisecond)))):
			case <-done:
			}
			old := srv
			stop := old.GracefulStop
			if rng.IntN(2) == 0 {
				stop = old.Stop
			}
			if rng.IntN(2) == 0 { // with nobody there in between
				s.mu.Lock()
				s.lis = nil
				s.mu.Unlock()
				running.Go(stop)
				time.Sleep(time.Duration(rng.Int64N(int64(time.Second))))
				srv = begin()
			} else {
				srv = begin()
				running.Go(stop)
			}
		}
		<-done
		srv.Stop()
	})
}

// client returns a client.
func (s *sim) client() *ClientConn {
	cfg := ClientConfig{Credentials: insecure.NewCredentials(), Limits: s.limits()}
	if s.rng.IntN(2) == 0 {
		cfg.Connections = 1 + s.rng.IntN(3)
	}
	if s.rng.IntN(2) == 0 {
		cfg.KeepAlive.Time = 10 * time.Second
	}
	cc, err := NewClient("unix:/simulation", cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	cc.under = s.under
	return cc
}

// dial connects to the server of the moment.
func (s *sim) dial(ctx context.Context, _ string) (net.Conn, error) {
	s.mu.Lock()
	lis, fails := s.lis, s.net.Float64() < s.mood.failing
	client, server := newSimLink(s.net, &s.mood)
	s.conns++
	for _, h := range []*half{client.in, client.out} {
		if h.left >= 0 {
			s.cuts++
		}
	}
	s.mu.Unlock()
	if lis == nil || fails {
		return nil, syscall.ECONNREFUSED
	}
	select {
	case lis.conns <- server:
		return client, nil
	case <-lis.closed:
		return nil, syscall.ECONNREFUSED
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// A simListener hands a server what clients have dialed.
type simListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *simListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *simListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *simListener) Addr() net.Addr { return simAddr{} }
