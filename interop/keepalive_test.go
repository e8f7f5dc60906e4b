package interop_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/seen"
	"github.com/grpcpipe/grpcpipe/internal/soak"
	"github.com/grpcpipe/grpcpipe/internal/testproc"
)

// pinging makes the .NET programs of the test send a keep-alive ping every
// second. It rules out t.Parallel.
func pinging(t *testing.T) { t.Setenv("PEER_KEEPALIVE_SECONDS", "1") }

// quietGreeter answers after a while, and only then.
type quietGreeter struct {
	greetpb.UnimplementedGreeterServer
	quiet time.Duration
}

func (g quietGreeter) SayHello(ctx context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	select {
	case <-time.After(g.quiet):
		return &greetpb.HelloReply{Message: "Hello " + in.GetName()}, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// callsOnly is the test service without what interoptest.NewServer brings: the
// test has its own greeter.
type callsOnly struct {
	testpb.UnimplementedTestServiceServer
}

func (callsOnly) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

// A .NET client pings every second, for two minutes, on a connection on which
// nothing else happens and on three with one quiet call each. Neither is cut:
// the first and the last call of the client's own channel go over the same
// connection. grpc-go's own limit would have ended either after three pings.
func TestSoakKeepAlivePings(t *testing.T) {
	dotnetpeer.Program(t)
	mark := seen.Row(t, "keepalive-idle")
	mark2 := seen.Row(t, "keepalive-quiet-call")
	pinging(t)
	pipe := testproc.PipeName()
	lis := tap(t, pipe)
	s := grpc.NewServer(grpcpipe.ServerOptions()...)
	testpb.RegisterTestServiceServer(s, callsOnly{})
	// The peer gives each case 60 s, so that two minutes are three cases.
	quiet := time.Duration(max(soak.N(41), 4)) * time.Second
	greetpb.RegisterGreeterServer(s, quietGreeter{quiet: quiet})
	t.Cleanup(s.Stop)
	go s.Serve(lis) // ends with Stop

	ctx := limited(t, 4*time.Minute)
	// The greeter case has a channel of its own, the other one the client's,
	// which is idle in the meantime.
	wanted := []string{"empty_unary", "greeter", "greeter", "greeter", "empty_unary"}
	results, err := dotnetpeer.RunClient(ctx, t, pipe, wanted)
	if err != nil {
		t.Error(err)
	}
	for name, err := range results {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	pings := lis.conns()
	if len(pings) != 4 {
		t.Fatalf("there were %d connections, want 4: the idle one and one for each quiet call", len(pings))
	}
	// A tick may be late or lost between two others on a busy machine.
	seconds := int(quiet.Seconds())
	if want := 3 * seconds * 2 / 3; pings[0] < want {
		t.Errorf("%d pings came on the idle connection, want %d at least", pings[0], want)
	}
	for i, n := range pings[1:] {
		if want := seconds * 2 / 3; n < want {
			t.Errorf("%d pings came during quiet call %d, want %d at least", n, i+1, want)
		}
	}
	mark.Say("%d pings in %d s", pings[0], 3*seconds)
	mark2.Say("%d pings in %d s", pings[1], seconds)
}

// quietStreams sends two messages, the second after a while.
type quietStreams struct {
	testpb.UnimplementedTestServiceServer
	quiet time.Duration
}

func (q quietStreams) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, s testpb.TestService_StreamingOutputCallServer) error {
	for range 2 {
		if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{}}); err != nil {
			return err
		}
		select {
		case <-time.After(q.quiet):
		case <-s.Context().Done():
			return s.Context().Err()
		}
	}
	return nil
}

// The same while a stream is open on which nothing comes.
func TestSoakKeepAlivePingsDuringQuietStream(t *testing.T) {
	dotnetpeer.Program(t)
	mark := seen.Row(t, "keepalive-quiet-stream")
	pinging(t)
	pipe := testproc.PipeName()
	lis := tap(t, pipe)
	s := grpc.NewServer(grpcpipe.ServerOptions()...)
	quiet := time.Duration(max(soak.N(30), 5)) * time.Second
	testpb.RegisterTestServiceServer(s, quietStreams{quiet: quiet})
	t.Cleanup(s.Stop)
	go s.Serve(lis) // ends with Stop

	ctx := limited(t, 6*time.Minute)
	// One stream for the warm-up, one that counts: each is two quiet times.
	bench := dotnetpeer.StartBench(ctx, t, pipe, "--concurrency", "1", "--seconds", "1", "--stream")
	r, err := bench.Result(ctx)
	if err != nil {
		t.Fatal(err)
	}
	pings := lis.conns()
	if len(pings) != 1 || r.Calls != 1 {
		t.Fatalf("%d connections and %d streams, want one of each", len(pings), r.Calls)
	}
	seconds := 4 * int(quiet.Seconds())
	if want := seconds * 2 / 3; pings[0] < want {
		t.Errorf("%d pings came in %d s, want %d at least", pings[0], seconds, want)
	}
	mark.Say("%d pings in %d s", pings[0], seconds)
}

// Kestrel closes a connection on which nothing has happened for 130 s. The
// channel connects again at the next call, which knows nothing of it.
func TestSoakKestrelClosesIdleConnection(t *testing.T) {
	dotnetpeer.Program(t)
	mark := seen.Row(t, "kestrel-idle-close")
	if !soak.Full() {
		t.Skip("takes 130 s: run with -soak")
	}
	pipe := testproc.PipeName()
	dotnetpeer.StartServer(t, pipe)
	ctx := limited(t, 5*time.Minute)
	cc := newConn(t, pipe)
	mustPing(ctx, t, cc)
	start := time.Now()
	state := cc.GetState()
	if !cc.WaitForStateChange(ctx, state) {
		t.Fatal("Kestrel has not closed the idle connection")
	}
	idle := time.Since(start)
	if idle < 100*time.Second || idle > 160*time.Second {
		t.Errorf("the connection was closed after %v, want about 130 s", idle)
	}
	if err := ping(ctx, cc); err != nil {
		t.Errorf("the call after the idle time: %v", err)
	}
	mark.Say("closed after %.0f s, the next call passes", idle.Seconds())
}
