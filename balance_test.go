package grpcpipe_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

var roundRobin = grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`)

// reached makes n calls that wait for a server and returns the servers that
// answered, each once, in order.
func reached(ctx context.Context, t testing.TB, cc grpc.ClientConnInterface, n int) []string {
	t.Helper()
	var names []string
	for range n {
		// A call on a connection that is just breaking fails, rightly.
		reply, err := call(ctx, cc, grpc.WaitForReady(true))
		if err != nil && status.Code(err) != codes.Unavailable {
			t.Fatal(err)
		}
		if err == nil && !slices.Contains(names, reply.ServerId) {
			names = append(names, reply.ServerId)
		}
	}
	slices.Sort(names)
	return names
}

func TestRoundRobinOverSeveralPipes(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	a, b := pipeName(t)+"a", pipeName(t)+"b"
	both := []string{a, b}
	slices.Sort(both)
	sa := serve(t, a)
	serve(t, b)
	cc := dial(t, "npipe:"+a+","+b, fastgrpc.ClientConfig{RoundRobin: true})
	testproc.Eventually(ctx, t, "both are reached", func() bool { return slices.Equal(reached(ctx, t, cc, 4), both) })
	sa.stop()
	testproc.Eventually(ctx, t, "only b is reached", func() bool { return slices.Equal(reached(ctx, t, cc, 4), []string{b}) })
	for range 20 {
		mustCall(ctx, t, cc) // and no call fails
	}
	serve(t, a)
	start := time.Now()
	testproc.Eventually(ctx, t, "both are reached again", func() bool { return slices.Equal(reached(ctx, t, cc, 4), both) })
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %v until a was back", d)
	}
}

func TestPickFirstFailsOver(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	a, b := pipeName(t), pipeName(t)
	sa := serve(t, a)
	cc := dial(t, "npipe:"+a+","+b)
	if got := mustCall(ctx, t, cc).ServerId; got != a {
		t.Errorf("reached %s first", got)
	}
	sb := serve(t, b)
	sa.stop()
	testproc.Eventually(ctx, t, "b is reached", func() bool { return slices.Equal(reached(ctx, t, cc, 2), []string{b}) })
	serve(t, a)
	sb.stop()
	testproc.Eventually(ctx, t, "a is reached again", func() bool { return slices.Equal(reached(ctx, t, cc, 2), []string{a}) })
}

// A patternTest follows servers that come and go, with any lister.
func patternTest(t *testing.T, prefix string, newClient func(string) engine.Conn, start func(string) func()) {
	ctx := testContext(t)
	cc := newClient("npipe:" + prefix + "-*")
	_, err := call(ctx, cc)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("code %v", status.Code(err))
	}
	wantText(t, err, "no pipe matches npipe:"+prefix+"-*", "start a server")

	within := func(what string, names ...string) {
		t.Helper()
		begin := time.Now()
		testproc.Eventually(ctx, t, what, func() bool { return slices.Equal(reached(ctx, t, cc, 2*len(names)+1), names) })
		if d := time.Since(begin); d > time.Second {
			t.Errorf("it took %v until %s", d, what)
		}
	}
	stop1 := start(prefix + "-1")
	within("1 is reached", prefix+"-1")
	stop2 := start(prefix + "-2")
	stop3 := start(prefix + "-3")
	within("all are reached", prefix+"-1", prefix+"-2", prefix+"-3")
	stop1()
	stop3()
	within("2 is left", prefix+"-2")
	start(prefix + "-4")
	within("4 is found", prefix+"-2", prefix+"-4")
	stop2()
	within("4 is left", prefix+"-4")
}

func TestPatternFollowsServers(t *testing.T) {
	t.Parallel()
	prefix := pipeName(t)
	if _, err := follow.System.List(prefix + "*"); err != nil {
		t.Skip("this system can't list pipes:", err)
	}
	serve(t, prefix) // doesn't fit: no dash
	patternTest(t, prefix,
		func(target string) engine.Conn { return dial(t, target, fastgrpc.ClientConfig{RoundRobin: true}) },
		func(name string) func() { return serve(t, name).stop })
}

// A fakeLister lists what a test says, for systems that can't list.
type fakeLister struct {
	t     testing.TB
	mu    sync.Mutex
	names []string
}

func (f *fakeLister) List(pattern string) ([]follow.Entry, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var entries []follow.Entry
	for _, name := range f.names {
		if follow.Match(pattern, name) {
			entries = append(entries, follow.Entry{Name: name, Path: pathOf(f.t, name)})
		}
	}
	return entries, nil
}

func (f *fakeLister) change(how func([]string) []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.names = how(f.names)
}

func TestPatternWithFakeLister(t *testing.T) {
	t.Parallel()
	prefix := pipeName(t)
	list := &fakeLister{t: t}
	patternTest(t, prefix,
		func(target string) engine.Conn {
			cc, err := grpcpipe.NewClientWithLister(target, list, roundRobin)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cc.Close() })
			return cc
		},
		func(name string) func() {
			s := serve(t, name)
			list.change(func(names []string) []string { return append(names, name) })
			return func() {
				s.stop()
				list.change(func(names []string) []string {
					return slices.DeleteFunc(names, func(n string) bool { return n == name })
				})
			}
		})
}

func TestClientHealthChecking(t *testing.T) {
	t.Parallel()
	ctx := testContext(t)
	a, b := pipeName(t), pipeName(t)
	both := []string{a, b}
	slices.Sort(both)
	checks := map[string]*health.Server{}
	for _, name := range both {
		checks[name] = health.NewServer()
		s := grpc.NewServer(grpcpipe.ServerOptions()...)
		grpc_testing.RegisterTestServiceServer(s, &service{name: name})
		grpc_health_v1.RegisterHealthServer(s, checks[name])
		lis := listen(t, name)
		done := make(chan struct{})
		go func() { defer close(done); s.Serve(lis) }()
		t.Cleanup(func() { s.Stop(); <-done })
	}
	cc := client(t, "npipe:"+a+","+b, grpc.WithDefaultServiceConfig(
		`{"loadBalancingConfig":[{"round_robin":{}}],"healthCheckConfig":{"serviceName":""}}`))
	testproc.Eventually(ctx, t, "both are reached", func() bool { return slices.Equal(reached(ctx, t, cc, 4), both) })
	checks[a].SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	testproc.Eventually(ctx, t, "a is left out", func() bool { return slices.Equal(reached(ctx, t, cc, 4), []string{b}) })
	checks[a].SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	testproc.Eventually(ctx, t, "a is back", func() bool { return slices.Equal(reached(ctx, t, cc, 4), both) })
}

func TestRetryPolicy(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	var mu sync.Mutex
	tries := 0
	serveWith(t, name, &service{unary: func(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		mu.Lock()
		defer mu.Unlock()
		if tries++; tries < 3 {
			return nil, status.Error(codes.Unavailable, "not yet")
		}
		return &grpc_testing.SimpleResponse{}, nil
	}}, grpcpipe.ServerOptions()...)
	cc := client(t, name, grpc.WithDefaultServiceConfig(`{"methodConfig":[{"name":[{}],"retryPolicy":{
		"maxAttempts":4,"initialBackoff":"0.01s","maxBackoff":"0.1s","backoffMultiplier":2,"retryableStatusCodes":["UNAVAILABLE"]}}]}`))
	mustCall(testContext(t), t, cc)
	if tries != 3 {
		t.Errorf("%d tries", tries)
	}
}
