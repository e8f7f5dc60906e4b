package endure

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

var (
	length = flag.Duration("for", usualLength(), "how long TestEndure lasts")
	seed   = flag.Uint64("seed", 0, "what the order of troubles in TestEndure comes from; 0 is a random one")
)

// roundLimit bounds a round. Most take two seconds.
const roundLimit = 3 * time.Minute

// A run is the whole of TestEndure.
type run struct {
	slots   []*slot
	dir     string // of the sockets; "" on Windows
	own     []size
	files   []float64
	left    map[string]string // troubles that were left out, and why
	rounds  int
	started time.Time
}

// usualLength is a minute. Under Wine, where other long tests wait for the same
// Wine server, it is less.
func usualLength() time.Duration {
	if dotnetpeer.UnderWine() {
		return 20 * time.Second
	}
	return time.Minute
}

// TestEndure: servers and clients of both engines and of .NET, and clients of Node
// and Python, under troubles in a random order. Each call is answered and served
// once, or fails by what has happened to its server; nothing grows.
//
// Jumps of the clock are not among the troubles: the clock is the whole machine's.
// Go measures all that waits by the monotonic clock, which doesn't jump.
func TestEndure(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("seed %d", *seed)
	r := newRun(t)
	for end := time.Now().Add(*length); time.Now().Before(end) && !t.Failed(); {
		r.round(t)
	}
	r.end(t)
	table := r.table() + r.plateaus(t)
	t.Logf("seed %d, %d rounds in %v\n%s", *seed, r.rounds, time.Since(r.started).Round(time.Second), table)
	if t.Failed() {
		t.Logf("the same order of troubles again: make endure FOR=%v SEED=%d", *length, *seed)
	}
}

func newRun(t *testing.T) *run {
	r := &run{left: map[string]string{}, started: time.Now()}
	numbers := t.TempDir()
	disk := ""
	if runtime.GOOS != "windows" {
		dir, err := os.MkdirTemp("", "gp") // short, for sockets
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		r.dir = dir
		disk = r.mountDisk(t)
	}
	dotnet := r.dotnet()
	for _, s := range []*slot{
		{name: "grpc-go", engine: engine.GRPC, disk: disk, troubles: []trouble{replaced, killed, restarted, stopped, exhausted, replacedFull, restartedFull, clientKilled}},
		{name: "fastgrpc", engine: engine.Fast, troubles: []trouble{replaced, killed, restarted, stopped, exhausted, clientKilled}},
		{name: "grpc-go, never restarted", engine: engine.GRPC, troubles: []trouble{stopped, exhausted, clientKilled, dotnetClient, nodeClient, pythonClient}},
		{name: "fastgrpc, never restarted", engine: engine.Fast, troubles: []trouble{stopped, exhausted, clientKilled, dotnetClient, nodeClient, pythonClient}},
		{name: ".NET", troubles: []trouble{killed, restarted, stopped, clientKilled}},
	} {
		if !dotnet {
			s.troubles = slices.DeleteFunc(s.troubles, func(t trouble) bool { return t.name == dotnetClient.name })
			if s.engine.Name == "" {
				continue
			}
		}
		r.add(t, s, numbers)
	}
	return r
}

// dotnet reports whether .NET takes part.
func (r *run) dotnet() bool {
	switch {
	case os.Getenv(dotnetpeer.Env) == "":
		r.left[".NET"] = dotnetpeer.Env + " is not set"
	case dotnetpeer.UnderWine() && *length < time.Minute:
		r.left[".NET"] = "it takes too long to start under Wine for a run of less than a minute"
	default:
		return true
	}
	return false
}

// mountDisk returns the folder of a small file system, or "".
func (r *run) mountDisk(t *testing.T) string {
	disk := filepath.Join(r.dir, "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	unmount, err := mountSmall(disk)
	if err != nil {
		return ""
	}
	t.Cleanup(func() {
		if err := unmount(); err != nil {
			t.Error(err)
		}
	})
	return disk
}

// add starts a slot's server and makes its clients.
func (r *run) add(t *testing.T, s *slot, numbers string) {
	i := len(r.slots)
	s.t, s.counts, s.ledger.failed = t, map[string]int{}, map[uint64]bool{}
	s.rand = rand.New(rand.NewPCG(*seed, uint64(i)))
	switch {
	case s.disk != "":
		s.pipe = filepath.Join(s.disk, "s")
	case r.dir != "":
		s.pipe = filepath.Join(r.dir, fmt.Sprint("CoreFxPipe_s", i))
	default:
		s.pipe = testproc.PipeName()
	}
	if s.engine.Name != "" {
		s.file = filepath.Join(numbers, fmt.Sprint(i))
		f, err := os.OpenFile(s.file, os.O_RDONLY|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		s.ledger.file = f
	}
	ctx, cancel := context.WithTimeout(t.Context(), roundLimit)
	defer cancel()
	if err := s.start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.scope.close() })
	for _, kind := range []string{"unary", "stream", "fresh", "slow"} {
		for _, e := range engine.All {
			c := &client{number: uint64(i<<8 | len(s.clients)), kind: kind, fresh: kind == "fresh", engine: e, pipe: s.pipe}
			s.clients = append(s.clients, c)
			t.Cleanup(func() {
				if c.cc != nil {
					c.cc.Close()
				}
			})
		}
	}
	r.slots = append(r.slots, s)
}

// round has all clients call while each slot has one trouble, then accounts for all
// calls and looks at what the processes hold.
func (r *run) round(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), roundLimit)
	defer cancel()
	stop := make(chan struct{})
	var calling, troubled sync.WaitGroup
	var mu sync.Mutex
	for _, s := range r.slots {
		s.windows = s.windows[:0]
		for _, c := range s.clients {
			calling.Go(func() { c.run(ctx, stop) })
		}
		trouble := s.troubles[s.rand.IntN(len(s.troubles))]
		troubled.Go(func() {
			pause(ctx, s.upTo(300*time.Millisecond))
			err := trouble.run(s, ctx)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, errLeftOut):
				r.left[trouble.name] = strings.TrimPrefix(err.Error(), errLeftOut.Error()+": ")
			case err != nil:
				t.Errorf("round %d: %s: %s: %v", r.rounds, s.name, trouble.name, err)
			default:
				s.counts[trouble.name]++
			}
		})
	}
	troubled.Wait()
	pause(ctx, 200*time.Millisecond) // each client gets to see how it goes on
	close(stop)
	calling.Wait()
	r.rounds++
	for _, s := range r.slots {
		answered := s.ledger.answered
		if err := s.ledger.settle(s.clients, s.windows, func(n uint64) bool { return n>>32 >= callerNumbers }); err != nil {
			t.Fatal(err)
		}
		if s.ledger.answered == answered && !t.Failed() {
			t.Errorf("round %d: %s answered no call", r.rounds, s.name)
		}
		for _, p := range s.ledger.problems {
			t.Errorf("round %d: %s: %s", r.rounds, s.name, p)
		}
	}
	if !t.Failed() {
		r.measure(ctx, t)
	}
}

// settleTime is more than bufpool keeps a buffer for at most, two seconds.
const settleTime = 2500 * time.Millisecond

// measure notes what this process and the servers that are never restarted hold. It
// takes the least of several looks: connections that have ended and buffers that
// were used go one by one.
func (r *run) measure(ctx context.Context, t *testing.T) {
	least := func(look func() size) size {
		s := look()
		for end := time.Now().Add(settleTime); time.Now().Before(end); {
			pause(ctx, settleTime/5)
			now := look()
			s = size{min(s.Goroutines, now.Goroutines), min(s.Handles, now.Handles), min(s.Heap, now.Heap)}
		}
		return s
	}
	var looking sync.WaitGroup
	for _, s := range r.slots {
		if !strings.HasSuffix(s.name, "never restarted") {
			continue
		}
		looking.Go(func() {
			s.sizes = append(s.sizes, least(func() (held size) {
				reply, err := testpb.NewTestServiceClient(s.clients[0].cc).UnaryCall(ctx, &testpb.SimpleRequest{FillUsername: true}, grpc.WaitForReady(true))
				if err == nil {
					err = json.Unmarshal([]byte(reply.GetUsername()), &held)
				}
				if err != nil {
					t.Errorf("%s: what it holds: %v", s.name, err)
				}
				return held
			}))
		})
	}
	r.own = append(r.own, least(sizeOfSelf)) // with the goroutines above, each time
	looking.Wait()
	files := 0.0
	if r.dir != "" {
		filepath.WalkDir(r.dir, func(string, os.DirEntry, error) error { files++; return nil })
	}
	r.files = append(r.files, files)
}

// end stops all servers and checks that nothing is left of them.
func (r *run) end(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), roundLimit)
	defer cancel()
	for _, s := range r.slots {
		for _, c := range s.clients {
			if c.cc != nil {
				c.cc.Close()
				c.cc = nil
			}
		}
		if err := s.stop(ctx); err != nil {
			t.Error(err)
		}
	}
	if r.dir == "" || t.Failed() {
		return
	}
	filepath.WalkDir(r.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			t.Errorf("%s is left behind: %v", path, err)
		}
		return nil
	})
}

// table tells what has happened, and what it took.
func (r *run) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SERVER\tCALLS\tANSWERED\tFAILED, AS DUE\tSERVED\tTROUBLES")
	for _, s := range r.slots {
		var troubles []string
		for _, tr := range s.troubles {
			if n := s.counts[tr.name]; n > 0 {
				troubles = append(troubles, fmt.Sprintf("%s %d", tr.name, n))
			}
		}
		served := "-"
		if s.ledger.file != nil {
			served = fmt.Sprint(s.ledger.served)
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%s\t%s\n", s.name, s.ledger.made, s.ledger.answered, s.ledger.due, served, strings.Join(troubles, ", "))
	}
	w.Flush()
	for _, name := range slices.Sorted(maps.Keys(r.left)) {
		fmt.Fprintf(&b, "left out: %s: %s\n", name, r.left[name])
	}
	return b.String()
}
