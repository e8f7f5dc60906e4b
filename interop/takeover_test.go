package interop_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

const (
	takeOverGo     = 64  // Go clients, half of which call and half of which stream
	takeOverDotNet = 16  // .NET clients, the same
	takeOvers      = 100 // replacements of the server's process
	restBetween    = 200 * time.Millisecond
	streamMessages = 20
	callKey        = "call-number"
)

// takeOverServer takes the name over, serves, and when the next server has the
// name finishes its calls, writes down which calls it has served and ends.
func takeOverServer() {
	if err := takeOverAndServe(engine.Named(os.Args[1]), os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func takeOverAndServe(e engine.Engine, pipe, file string) error {
	var served struct {
		sync.Mutex
		calls []byte
	}
	note := func(ctx context.Context) {
		md, _ := metadata.FromIncomingContext(ctx)
		for _, v := range md.Get(callKey) { // .NET's calls have none
			n, err := strconv.ParseUint(v, 10, 64)
			if err != nil {
				panic(err)
			}
			served.Lock()
			served.calls = binary.LittleEndian.AppendUint64(served.calls, n)
			served.Unlock()
		}
	}
	s := e.NewTestServer(fastgrpc.ServerConfig{
		UnaryInterceptors: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			note(ctx)
			return handler(ctx, req)
		}},
		StreamInterceptors: []grpc.StreamServerInterceptor{func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			note(ss.Context())
			return handler(srv, ss)
		}},
	})
	go func() { // the test is over
		io.Copy(io.Discard, os.Stdin)
		s.GracefulStop()
	}()
	err := serveInTurn(context.Background(), s, pipe)
	return errors.Join(err, os.WriteFile(file, served.calls, 0o600))
}

func serveInTurn(ctx context.Context, srv engine.Server, name string) error {
	// snippet: take-over
	lc := namedpipe.ListenConfig{TakeOver: true}
	lis, err := lc.Listen(ctx, name) // stands by if an older server has the name
	if err != nil {
		return err
	}
	fmt.Println("ready") // everything that can fail has succeeded: the new server is up
	err = srv.Serve(lis) // the first Accept takes over
	if errors.Is(err, namedpipe.ErrReplaced) {
		err = nil // a newer server has the name
	}
	srv.GracefulStop() // ends when the calls under way have ended
	return err
	// end snippet
}

// takeOverClient calls without pause.
type takeOverClient struct {
	number  uint64
	streams bool // streams, not unary calls
	fresh   bool // each call has a connection of its own
	calls   uint64
	worst   atomic.Int64 // the longest wait for an answer, in nanoseconds
}

// run calls until stop is closed.
func (c *takeOverClient) run(ctx context.Context, e engine.Engine, pipe string, stop <-chan struct{}) error {
	// A busy machine may take longer than the default to connect, which is no
	// failure of the servers.
	patient := fastgrpc.ClientConfig{ConnectTimeout: 30 * time.Second}
	cc, err := e.NewClient(pipe, patient)
	if err != nil {
		return err
	}
	defer func() { cc.Close() }()
	for {
		select {
		case <-stop:
			return nil
		default:
		}
		ctx := metadata.AppendToOutgoingContext(ctx, callKey, strconv.FormatUint(c.number<<32|c.calls, 10))
		c.calls++
		if c.fresh {
			cc.Close()
			if cc, err = e.NewClient(pipe, patient); err != nil {
				return err
			}
		}
		client := testpb.NewTestServiceClient(cc)
		if c.streams {
			err = c.stream(ctx, client)
		} else {
			err = c.timed(func() error {
				_, err := client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 8})
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("client %d, call %d: %w", c.number, c.calls, err)
		}
	}
}

// stream sends some messages, each of which is answered.
func (c *takeOverClient) stream(ctx context.Context, client testpb.TestServiceClient) error {
	s, err := client.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for range streamMessages {
		err := c.timed(func() error {
			if err := s.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 8}}}); err != nil {
				return err
			}
			_, err := s.Recv()
			return err
		})
		if err != nil {
			return err
		}
	}
	s.CloseSend()
	if _, err := s.Recv(); err != io.EOF {
		return fmt.Errorf("at the stream's end: %w", err)
	}
	return nil
}

func (c *takeOverClient) timed(f func() error) error {
	start := time.Now()
	err := f()
	if took := int64(time.Since(start)); took > c.worst.Load() {
		c.worst.Store(took)
	}
	return err
}

// Servers replace each other under clients that call without pause: no call
// fails, none is served twice, and none waits much longer than it does without.
func TestSoakTakeOver(t *testing.T) {
	if !soak.Full() { // half a minute is enough for what package namedpipe does
		takeOver(t, engine.GRPC)
		return
	}
	engine.Each(t, takeOver)
}

func takeOver(t *testing.T, e engine.Engine) {
	rounds, dotnets := max(soak.N(takeOvers), 5), max(soak.N(takeOverDotNet), 2)
	ctx := limited(t, 10*time.Minute)
	pipe := testproc.PipeName()
	dir := t.TempDir()
	var files []string // of the servers
	start := func() *testproc.Process {
		files = append(files, filepath.Join(dir, strconv.Itoa(len(files))))
		return startTakeOver(t, ctx, e, pipe, files[len(files)-1])
	}
	server := start()

	stop := make(chan struct{})
	clients := make([]*takeOverClient, takeOverGo)
	errs := make([]error, takeOverGo)
	var wg sync.WaitGroup
	for i := range clients {
		clients[i] = &takeOverClient{number: uint64(i), streams: i%2 == 1, fresh: i%16 < 2}
		wg.Go(func() { errs[i] = clients[i].run(ctx, e, pipe, stop) })
	}
	stopDotNet := startDotNet(t, ctx, pipe, dotnets)
	worst := func() (worst time.Duration) {
		for _, c := range clients {
			worst = max(worst, time.Duration(c.worst.Swap(0)))
		}
		return worst
	}
	sleep(t, ctx, 2*time.Second+time.Duration(dotnets)*250*time.Millisecond) // all have connected
	worst()
	// Without a replacement a call waits for its turn on this machine; with one,
	// for its new connection too.
	var usual, replaced []time.Duration
	for range rounds {
		sleep(t, ctx, restBetween)
		usual = append(usual, worst())
		next := start()
		if err := server.Wait(ctx); err != nil {
			t.Errorf("the old server: %v", err)
		}
		server = next
		replaced = append(replaced, worst())
	}
	dotnet := stopDotNet()
	close(stop)
	wg.Wait()
	server.CloseStdin()
	if err := server.Wait(ctx); err != nil {
		t.Error(err)
	}
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	calls := checkServedOnce(t, files, clients)
	limit := 50 * time.Millisecond
	if runtime.GOOS == "windows" {
		limit = 200 * time.Millisecond
	}
	slices.Sort(usual)
	slices.Sort(replaced)
	median, longest := replaced[len(replaced)/2], replaced[len(replaced)-1]
	// A client that had to wait for a back-off would wait a second.
	allowed, most := usual[len(usual)/2]+limit, usual[len(usual)-1]+limit+500*time.Millisecond
	if !soak.Full() { // other tests run at the same time, and one call may wait for them
		allowed, most = 3*usual[len(usual)/2]+10*limit, time.Minute
	}
	if median > allowed || longest > most {
		t.Errorf("of each replacement the longest wait was %v in the median and %v at most; without one %v and %v",
			median, longest, usual[len(usual)/2], usual[len(usual)-1])
	}
	soak.Report(t, fmt.Sprintf("server of %s replaced %d times under %d Go and %d .NET clients", e.Name, rounds, takeOverGo, dotnets),
		fmt.Sprintf("no call fails, none is served twice, none waits %v longer", limit),
		fmt.Sprintf("%d calls of Go clients, each served once; %s; longest wait, median of the replacements, %v, at most %v; without one %v and %v", calls, dotnet,
			round(median), round(longest), round(usual[len(usual)/2]), round(usual[len(usual)-1])))
}

func startTakeOver(t *testing.T, ctx context.Context, e engine.Engine, pipe, file string) *testproc.Process {
	t.Helper()
	cmd, err := testproc.Self(ctx, "take over", e.Name, pipe, file)
	if err != nil {
		t.Fatal(err)
	}
	p, err := testproc.Start(t, cmd)
	if err == nil {
		_, err = p.WaitLine(ctx, "ready")
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }

func sleep(t *testing.T, ctx context.Context, d time.Duration) {
	t.Helper()
	select {
	case <-time.After(d):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
}

// dotnetRaces are how a .NET call fails, rarely, on a connection that ends. One
// that SocketsHttpHandler has chosen for a call may end before the call is sent,
// and a new one may be told to go before its first call; it doesn't try another.
var dotnetRaces = []string{
	"The HTTP/2 server closed the connection. HTTP/2 error code 'NO_ERROR'",
	"An HTTP/2 connection could not be established because the server did not complete the HTTP/2 handshake.\"",
}

// startDotNet keeps .NET clients calling, each in a process of its own, until
// stop is called, which returns what they did. The first call that fails ends a
// client with an error.
func startDotNet(t *testing.T, ctx context.Context, pipe string, n int) (stop func() string) {
	if os.Getenv(dotnetpeer.Env) == "" {
		return func() string { return "no .NET client: " + dotnetpeer.Env + " is not set" }
	}
	dotnetpeer.Program(t)
	// Each time a .NET process starts it takes the processors from the others.
	seconds := strconv.Itoa(soak.N(30))
	quit := make(chan struct{})
	var wg sync.WaitGroup
	var calls, streams, raced atomic.Int64
	for i := range n {
		args := []string{"--concurrency", "1", "--seconds", seconds}
		count := &calls
		if i%2 == 1 {
			args, count = append(args, "--stream"), &streams
		}
		wg.Go(func() {
			for {
				r, err := dotnetpeer.StartBench(ctx, t, pipe, args...).Result(ctx)
				switch {
				case err == nil:
					count.Add(int64(r.Calls))
				case slices.ContainsFunc(dotnetRaces, func(race string) bool { return strings.Contains(err.Error(), race) }):
					raced.Add(1)
				default:
					t.Errorf(".NET client %d: %v", i, err)
					return
				}
				select {
				case <-quit:
					return
				default:
				}
			}
		})
	}
	return func() string {
		close(quit)
		wg.Wait()
		if raced.Load() > int64(n) {
			t.Errorf("%d calls of .NET clients have failed on connections that were ending", raced.Load())
		}
		return fmt.Sprintf("%d calls and %d streams of .NET clients, %d failed on a connection that was ending", calls.Load(), streams.Load(), raced.Load())
	}
}

// checkServedOnce holds what the servers have written down against the clients'
// calls.
func checkServedOnce(t *testing.T, files []string, clients []*takeOverClient) (calls int) {
	t.Helper()
	served := map[uint64]int{}
	for i, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 {
			t.Errorf("server %d has served no call", i+1)
		}
		for ; len(b) > 0; b = b[8:] {
			served[binary.LittleEndian.Uint64(b)]++
		}
	}
	for _, c := range clients {
		for call := range c.calls {
			if n := served[c.number<<32|call]; n != 1 {
				t.Errorf("call %d of client %d was served %d times", call, c.number, n)
			}
		}
		calls += int(c.calls)
	}
	if len(served) != calls {
		t.Errorf("%d calls were served, %d made", len(served), calls)
	}
	return calls
}
