package grpcpipe_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// A spread is what was measured, in order.
type spread []time.Duration

func (s spread) median() time.Duration { slices.Sort(s); return s[len(s)/2] }
func (s spread) worst() time.Duration  { return slices.Max(s) }
func (s spread) String() string {
	return fmt.Sprintf("median %v, worst %v", s.median().Round(100*time.Microsecond), s.worst().Round(100*time.Microsecond))
}

func TestSoakServerKilled(t *testing.T) {
	for _, down := range []time.Duration{100 * time.Millisecond, time.Second, 10 * time.Second} {
		t.Run(down.String(), func(t *testing.T) {
			rounds := soak.N(20)
			if down > time.Second && !soak.Full() {
				rounds = 1
			}
			var failed, served spread
			for range rounds {
				f, s := killAndReturn(t, down)
				failed, served = append(failed, f), append(served, s)
			}
			// The short form runs beside all other tests, and finds gross waits only.
			errorGoal, callGoal := 50*time.Millisecond, 200*time.Millisecond
			if !soak.Full() {
				errorGoal, callGoal = 20*errorGoal, 20*callGoal
			}
			if failed.median() > errorGoal {
				t.Errorf("the call under way failed after %v, the goal is %v", failed, errorGoal)
			}
			if served.median() > callGoal {
				t.Errorf("the waiting call was served %v after the new server listened, the goal is %v", served, callGoal)
			}
			soak.Report(t, engineOf(t).Name+", "+fmt.Sprintf("server killed in mid-call, down for %v, %d rounds", down, rounds),
				"error within 50 ms, waiting call served within 200 ms of listening (medians)",
				fmt.Sprintf("error %v; served %v", failed, served))
		})
	}
}

// killAndReturn kills a server that has a call under way and starts the next one
// after a while. It returns how long after the kill the call failed, and how long
// after the new server listened a call that waited for it was served.
func killAndReturn(t *testing.T, down time.Duration) (failed, served time.Duration) {
	t.Helper()
	name := pipeName(t)
	ctx, cancel := context.WithTimeout(context.Background(), down+30*time.Second)
	defer cancel()
	first := startChild(t, name)
	cc, err := engineOf(t).NewClient("npipe:"+name, fastgrpc.ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer cc.Close()
	stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx, grpc.WaitForReady(true))
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{}); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}

	kill := time.Now()
	first.Kill()
	if _, err := stream.Recv(); err == nil {
		t.Fatal("the call outlived its server")
	}
	failed = time.Since(kill)

	type result struct {
		at  time.Time
		err error
	}
	waiting := make(chan result, 1)
	go func() {
		_, err := call(ctx, cc, grpc.WaitForReady(true))
		waiting <- result{time.Now(), err}
	}()
	<-time.After(down - time.Since(kill)) // how long the server is down is what is tested
	second := startChild(t, name)
	r := <-waiting
	if r.err != nil {
		t.Fatal(r.err)
	}
	second.Kill()
	return failed, r.at.Sub(second.listening)
}

func TestSoakGracefulStop(t *testing.T) {
	rounds := soak.N(20)
	var stopped spread
	for range rounds {
		stopped = append(stopped, stopInFlight(t, 200, 20))
		if t.Failed() {
			break
		}
	}
	soak.Report(t, engineOf(t).Name+", "+fmt.Sprintf("GracefulStop with 200 calls and 20 streams in flight, Go client, %d rounds", rounds),
		"no reply lost, none cut; the next server serves the next call", fmt.Sprintf("all replies came; next call %v after the stop", stopped))
}

// stopInFlight stops a server in which calls and streams are under way and
// returns how long it took the next call to be served by the next server.
func stopInFlight(t *testing.T, calls, streams int) time.Duration {
	t.Helper()
	ctx, name := testContext(t), pipeName(t)
	release, entered := make(chan struct{}), make(chan struct{}, calls)
	svc := &service{name: name, unary: func(ctx context.Context, req *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		entered <- struct{}{}
		<-release
		return &grpc_testing.SimpleResponse{Payload: req.GetPayload()}, nil
	}}
	s := serveBoth(t, name, svc)
	cc := dial(t, name)
	stub := grpc_testing.NewTestServiceClient(cc)

	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			body := fmt.Appendf(nil, "call %d", i)
			reply, err := stub.UnaryCall(ctx, &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: body}})
			if err != nil || string(reply.Payload.Body) != string(body) {
				t.Errorf("%s: %v, %v", body, reply, err)
			}
		})
	}
	goOn, opened := make(chan struct{}), make(chan struct{}, streams)
	for i := range streams {
		wg.Go(func() {
			if err := useStream(ctx, stub, i, opened, goOn); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
		})
	}
	for range calls {
		<-entered
	}
	for range streams {
		select {
		case <-opened:
		case <-ctx.Done():
			t.Fatal("the streams could not be opened")
		}
	}
	gone := make(chan struct{})
	go func() { defer close(gone); s.GracefulStop() }()
	waitState(ctx, t, cc, connectivity.Idle) // it has been told to go away
	close(release)
	close(goOn)
	wg.Wait()
	<-gone
	<-s.done
	stop := time.Now()
	serve(t, name)
	if reply := mustCall(ctx, t, cc, grpc.WaitForReady(true)); reply.ServerId != name {
		t.Errorf("the next server answered %v", reply)
	}
	return time.Since(stop)
}

// TestSoakClients: clients that dial and call at the same moment.
func TestSoakClients(t *testing.T) {
	clients := soak.N(1000)
	goal := 10 * time.Second
	if runtime.GOOS == "windows" {
		goal = 30 * time.Second
	}
	name := pipeName(t)
	startChild(t, name)
	all := make([]engine.Conn, clients)
	for i := range all {
		all[i] = dial(t, name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	took := make(spread, clients)
	start := time.Now()
	var wg sync.WaitGroup
	for i, cc := range all {
		wg.Go(func() {
			if _, err := call(ctx, cc, grpc.WaitForReady(true)); err != nil {
				t.Error(err)
			}
			took[i] = time.Since(start)
		})
	}
	wg.Wait()
	if d := time.Since(start); d > goal {
		t.Errorf("took %v, want %v", d, goal)
	}
	soak.Report(t, fmt.Sprintf("%s, %d clients dial and call at once", engineOf(t).Name, clients), fmt.Sprintf("all served in %v", goal), took.String())
}

// TestSoakConnections: clients that stay connected all have their next call.
func TestSoakConnections(t *testing.T) {
	want := soak.N(10_000)
	if dotnetpeer.UnderWine() {
		want = soak.N(1000) // about as many handles as Wine's server allows one process
	}
	name := pipeName(t)
	startChild(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	all := make([]engine.Conn, want)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range all {
		all[i] = dial(t, name)
		mustCall(ctx, t, all[i])
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	for _, cc := range all {
		if state := cc.GetState(); state != connectivity.Ready {
			t.Fatalf("a client is %v", state)
		}
		mustCall(ctx, t, cc)
	}
	held := (after.HeapInuse + after.StackInuse - before.HeapInuse - before.StackInuse) / uint64(want)
	soak.Report(t, fmt.Sprintf("%s, %d connections to one server", engineOf(t).Name, want), "all are served twice, and stay connected between",
		fmt.Sprintf("%.1f KB of memory each at the client", float64(held)/1000))
}

// useStream sends a message and waits for its echo, then, when it may go on, does
// so ten times more and ends the stream.
func useStream(ctx context.Context, stub grpc_testing.TestServiceClient, i int, opened chan<- struct{}, goOn <-chan struct{}) error {
	stream, err := stub.FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for n := range 11 {
		body := fmt.Sprintf("stream %d, message %d", i, n)
		if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: []byte(body)}}); err != nil {
			return err
		}
		reply, err := stream.Recv()
		if err != nil {
			return err
		}
		if got := string(reply.Payload.Body); got != body {
			return fmt.Errorf("got %q, want %q", got, body)
		}
		if n == 0 {
			opened <- struct{}{}
			<-goOn
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	if _, err := stream.Recv(); err != io.EOF {
		return fmt.Errorf("the stream ended with %w", err)
	}
	return nil
}

func TestSoakStrangers(t *testing.T) {
	ctx, name := testContext(t), pipeName(t)
	limit := time.Second
	var cfg fastgrpc.ServerConfig
	if soak.Full() {
		limit = 10 * time.Second // ServerOptions' own
	} else {
		cfg.Limits.Handshake = limit
	}
	before := goleak.IgnoreCurrent()
	s := serve(t, name, cfg)

	var wg sync.WaitGroup
	var early, late atomic.Int64
	silent := func(first string) { // or nearly so
		c := dialRaw(t, name)
		io.WriteString(c, first)
		dialed := time.Now()
		wg.Go(func() {
			defer c.Close()
			io.Copy(io.Discard, c)
			switch d := time.Since(dialed); {
			case d < limit*9/10:
				early.Add(1)
			case d > limit+2*time.Second:
				late.Add(1)
			}
		})
	}
	quiet := soak.N(150)
	for range quiet {
		silent("")
		silent(http2.ClientPreface[:12])
	}
	for range soak.N(500) {
		c := dialRaw(t, name)
		random := make([]byte, 100)
		rand.Read(random)
		c.Write(random) // may fail: the server hangs up on the first bytes
		c.Close()
		dialRaw(t, name).Close()
	}
	begin := time.Now()
	cc := dial(t, name)
	mustCall(ctx, t, cc)
	first := time.Since(begin)
	if first > time.Second {
		t.Errorf("the call took %v", first)
	}
	wg.Wait()
	if early.Load()+late.Load() > 0 {
		t.Errorf("%d silent connections were cut early and %d late", early.Load(), late.Load())
	}
	cc.Close()
	testproc.Eventually(ctx, t, "no connection is open", func() bool { return s.lis.Stats().Open == 0 })
	s.stop()
	if err := testproc.Leaks(before); err != nil {
		t.Error(err)
	}
	soak.Report(t, engineOf(t).Name+", "+fmt.Sprintf("strangers: %d silent connections, %d with half a preface, %d with random bytes, %d connects and closes",
		quiet, quiet, soak.N(500), soak.N(500)),
		"a proper call within 1 s, the silent ones cut at the limit, nothing leaks",
		fmt.Sprintf("call after %v; cut after %v; no connection and no goroutine left", first.Round(100*time.Microsecond), limit))
}
