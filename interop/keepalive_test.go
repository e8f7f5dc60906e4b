package interop_test

import (
	"context"
	"strings"
	"testing"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// A pinged server is one that .NET clients ping, and what was seen of them.
// .NET takes a KeepAlivePingDelay of 1 s at least and looks every second whether
// it has heard nothing for that long. The answer to a ping comes just after such
// a look, so that the one after is too early and the pings are 2 s apart.
// grpc-go's own limit ends a connection at the third or fourth.
type pingedServer struct {
	testpb.UnimplementedTestServiceServer
	greetpb.UnimplementedGreeterServer

	quiet time.Duration
	pipe  string
	lis   *tapListener
}

func newPingedServer(t *testing.T, e engine.Engine, quiet time.Duration) *pingedServer {
	t.Helper()
	p := &pingedServer{quiet: quiet, pipe: testproc.PipeName()}
	p.lis = tap(t, p.pipe)
	s := e.NewServer(fastgrpc.ServerConfig{})
	testpb.RegisterTestServiceServer(s, p)
	greetpb.RegisterGreeterServer(s, p)
	t.Cleanup(s.Stop)
	go s.Serve(p.lis) // ends with Stop
	return p
}

func (*pingedServer) EmptyCall(context.Context, *testpb.Empty) (*testpb.Empty, error) {
	return &testpb.Empty{}, nil
}

// SayHello answers after a while, and only then.
func (p *pingedServer) SayHello(ctx context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	if err := p.rest(ctx); err != nil {
		return nil, err
	}
	return &greetpb.HelloReply{Message: "Hello " + in.GetName()}, nil
}

// StreamingOutputCall sends a message, and ends after a while of nothing.
func (p *pingedServer) StreamingOutputCall(_ *testpb.StreamingOutputCallRequest, s testpb.TestService_StreamingOutputCallServer) error {
	if err := s.Send(&testpb.StreamingOutputCallResponse{Payload: &testpb.Payload{}}); err != nil {
		return err
	}
	return p.rest(s.Context())
}

func (p *pingedServer) rest(ctx context.Context) error {
	select {
	case <-time.After(p.quiet):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run runs .NET's client, which pings, through the cases.
func (p *pingedServer) run(ctx context.Context, t *testing.T, cases ...string) {
	t.Helper()
	results, err := dotnetpeer.RunClient(dotnetpeer.WithKeepAlive(ctx), t, p.pipe, cases)
	if err != nil {
		t.Error(err)
	}
	for name, err := range results {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// want waits until all connections have ended and returns what was seen of
// them. Another number of connections is an error: one was cut then.
func (p *pingedServer) want(ctx context.Context, t *testing.T, n int) []tapped {
	t.Helper()
	testproc.Eventually(ctx, t, "all connections end", func() bool {
		for _, c := range p.lis.seen() {
			if c.closedBy == "" {
				return false
			}
		}
		return true
	})
	all := p.lis.seen()
	if len(all) != n {
		t.Errorf("there were %d connections, want %d", len(all), n)
		for _, c := range all {
			t.Log(c)
		}
		t.FailNow()
	}
	return all
}

// wantPings fails unless .NET has pinged as often as it does in the time that
// there was the connection, the server has answered, and nobody but the client
// has ended it.
func wantPings(t *testing.T, what string, c tapped) {
	t.Helper()
	t.Logf("%s: %v", what, c)
	// One every 2 s. A quarter may be late on a busy machine, and one is what a
	// call puts off.
	if want := max(int(c.lasted().Seconds()*3/8)-1, 1); len(c.keepAlive) < want {
		t.Errorf("%s: %d keep-alive pings in %v, want %d at least", what, len(c.keepAlive), c.lasted(), want)
	}
	if d := c.widest(); d > 6*time.Second {
		t.Errorf("%s: two keep-alive pings were %v apart", what, d)
	}
	// The last one may have met the client's end.
	if asked := len(c.keepAlive) + c.rtt; c.answers < asked-1 || c.answers > asked {
		t.Errorf("%s: %d of %d pings were answered", what, c.answers, asked)
	}
	for _, g := range c.goAway {
		if strings.HasPrefix(g, "server") {
			t.Errorf("%s: GOAWAY from the %s", what, g)
		}
	}
	if c.closedBy != "client" {
		t.Errorf("%s: the connection was closed by the %s", what, c.closedBy)
	}
}

// A .NET client pings, for two minutes in all, on a connection on which nothing
// else happens but a call after each third of that, and on three with one quiet
// call each. Without those calls .NET would close the idle connection itself:
// see TestSoakDotNetClosesIdleConnection.
func TestSoakKeepAlivePings(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "keepalive-idle", e.Name)
		mark2 := seen.RowOf(t, "keepalive-quiet-call", e.Name)
		t.Parallel()
		const thirds = 3
		// The peer gives each case 60 s, so that two minutes are three cases.
		p := newPingedServer(t, e, time.Duration(max(soak.N(41), 5))*time.Second)
		ctx := limited(t, 4*time.Minute)
		// The greeter case has a channel of its own, the other one the client's,
		// which is idle in the meantime.
		cases := []string{"empty_unary"}
		for range thirds {
			cases = append(cases, "greeter", "empty_unary")
		}
		p.run(ctx, t, cases...)
		conns := p.want(ctx, t, 1+thirds) // the idle one and one for each quiet call
		wantPings(t, "idle", conns[0])
		if d := conns[0].lasted(); d < thirds*p.quiet {
			t.Errorf("the idle connection lasted %v, want %v at least", d, thirds*p.quiet)
		}
		for _, c := range conns[1:] {
			wantPings(t, "quiet call", c)
		}
		last := conns[thirds] // ended with its call: the peer leaves others open when they are idle
		mark.Say("%d pings in %.0f s", len(conns[0].keepAlive), conns[0].lasted().Seconds())
		mark2.Say("%d pings in %.0f s", len(last.keepAlive), last.lasted().Seconds())
	})
}

// A .NET client that makes no call at all pings until it closes the connection
// itself: SocketsHttpHandler.PooledConnectionIdleTimeout is a minute unless a
// program says otherwise, and .NET looks every 15 s.
func TestSoakDotNetClosesIdleConnection(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "keepalive-idle-close", e.Name)
		if !soak.Full() {
			t.Skip("takes 90 s: run with -soak")
		}
		t.Parallel()
		p := newPingedServer(t, e, 45*time.Second)
		ctx := limited(t, 4*time.Minute)
		p.run(ctx, t, "empty_unary", "greeter", "greeter", "empty_unary")
		conns := p.want(ctx, t, 4) // the idle one, one for each quiet call, and the last call's
		idle := conns[0].lasted()
		wantPings(t, "idle", conns[0])
		if idle < 60*time.Second || idle > 85*time.Second {
			t.Errorf("the client closed the idle connection after %v, want 60 to 75 s", idle)
		}
		mark.Say("closed by the client after %.0f s, %d pings", idle.Seconds(), len(conns[0].keepAlive))
	})
}

// The same while a stream is open on which nothing comes: one connection, cut by
// nobody, for two minutes in all.
func TestSoakKeepAlivePingsDuringQuietStream(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "keepalive-quiet-stream", e.Name)
		t.Parallel()
		p := newPingedServer(t, e, time.Duration(max(soak.N(60), 12))*time.Second)
		ctx := limited(t, 6*time.Minute)
		// One stream for the warm-up, one that counts.
		bench := dotnetpeer.StartBench(dotnetpeer.WithKeepAlive(ctx), t, p.pipe, "--concurrency", "1", "--seconds", "1", "--stream")
		r, err := bench.Result(ctx)
		if err != nil {
			t.Error(err)
		} else if r.Calls != 1 {
			t.Errorf("%d streams were measured, want 1", r.Calls)
		}
		conns := p.want(ctx, t, 1)
		wantPings(t, "quiet stream", conns[0])
		if d := conns[0].lasted(); d < 2*p.quiet {
			t.Errorf("the connection lasted %v, want %v at least", d, 2*p.quiet)
		}
		mark.Say("%d pings in %.0f s", len(conns[0].keepAlive), conns[0].lasted().Seconds())
	})
}

// Kestrel closes a connection on which nothing has happened for 130 s. The
// channel connects again at the next call, which knows nothing of it.
func TestSoakKestrelClosesIdleConnection(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		mark := seen.RowOf(t, "kestrel-idle-close", e.Name)
		if !soak.Full() {
			t.Skip("takes 130 s: run with -soak")
		}
		t.Parallel()
		pipe := testproc.PipeName()
		dotnetpeer.StartServer(t, pipe)
		ctx := limited(t, 5*time.Minute)
		cc := newConn(t, e, pipe)
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
	})
}
