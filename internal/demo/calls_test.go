package demo

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/demo/demopb"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// faulty is the demo's server with one method replaced.
type faulty struct {
	demoServer
	greetpb.UnimplementedGreeterServer
	hello func() (*greetpb.HelloReply, error)
	count func(grpc.ServerStreamingServer[demopb.Number]) error
	sum   func(grpc.ClientStreamingServer[demopb.Number, demopb.Total]) error
	chat  func(grpc.BidiStreamingServer[demopb.Line, demopb.Line]) error
	wait  func(grpc.ServerStreamingServer[demopb.Waiting]) error
	seen  func() (*demopb.SeenReply, error)
	order func() (*demopb.OrderReply, error)
}

func (f *faulty) SayHello(ctx context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	if f.hello != nil {
		return f.hello()
	}
	return greeter{}.SayHello(ctx, in)
}

func (f *faulty) Count(in *demopb.CountRequest, s grpc.ServerStreamingServer[demopb.Number]) error {
	if f.count != nil {
		return f.count(s)
	}
	return f.demoServer.Count(in, s)
}

func (f *faulty) Sum(s grpc.ClientStreamingServer[demopb.Number, demopb.Total]) error {
	if f.sum != nil {
		return f.sum(s)
	}
	return f.demoServer.Sum(s)
}

func (f *faulty) Chat(s grpc.BidiStreamingServer[demopb.Line, demopb.Line]) error {
	if f.chat != nil {
		return f.chat(s)
	}
	return f.demoServer.Chat(s)
}

func (f *faulty) Wait(in *demopb.WaitRequest, s grpc.ServerStreamingServer[demopb.Waiting]) error {
	if f.wait != nil {
		return f.wait(s)
	}
	return f.demoServer.Wait(in, s)
}

func (f *faulty) Seen(ctx context.Context, in *demopb.SeenRequest) (*demopb.SeenReply, error) {
	if f.seen != nil {
		return f.seen()
	}
	return f.demoServer.Seen(ctx, in)
}

func (f *faulty) Order(ctx context.Context, in *demopb.OrderRequest) (*demopb.OrderReply, error) {
	if f.order != nil {
		return f.order()
	}
	return f.demoServer.Order(ctx, in)
}

func sendNumbers(from, to int64) func(grpc.ServerStreamingServer[demopb.Number]) error {
	return func(s grpc.ServerStreamingServer[demopb.Number]) error {
		for i := from; i <= to; i++ {
			if err := s.Send(&demopb.Number{Value: i}); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestStepsAgainstARightServer(t *testing.T) {
	for _, s := range steps {
		if _, err := runStep(t.Context(), dialServer(t, &faulty{}), s); err != nil {
			t.Error(err)
		}
	}
}

// Each step must notice what can be wrong with it.
func TestStepsAgainstFaultyServers(t *testing.T) {
	for _, tt := range []struct {
		name, step, want string
		server           *faulty
	}{
		{"wrong greeting", "greeting", "Hello Wrold", &faulty{hello: func() (*greetpb.HelloReply, error) {
			return &greetpb.HelloReply{Message: "Hello Wrold"}, nil
		}}},
		{"greeting fails", "greeting", "no mood", &faulty{hello: func() (*greetpb.HelloReply, error) {
			return nil, status.Error(codes.Internal, "no mood")
		}}},
		{"starts at 2", "server stream", "got 2, want 1", &faulty{count: sendNumbers(2, 1001)}},
		{"one too few", "server stream", "number 1000", &faulty{count: sendNumbers(1, 999)}},
		{"one too many", "server stream", "end of the stream", &faulty{count: sendNumbers(1, 1001)}},
		{"wrong sum", "client stream", "sum 7", &faulty{sum: func(s grpc.ClientStreamingServer[demopb.Number, demopb.Total]) error {
			for {
				if _, err := s.Recv(); errors.Is(err, io.EOF) {
					return s.SendAndClose(&demopb.Total{Sum: 7, Numbers: 1000})
				} else if err != nil {
					return err
				}
			}
		}}},
		{"wrong answer", "duplex chat", "pardon", &faulty{chat: func(s grpc.BidiStreamingServer[demopb.Line, demopb.Line]) error {
			return s.Send(&demopb.Line{Text: "pardon?"})
		}}},
		{"no deadline seen", "deadline", "without its deadline", &faulty{wait: func(s grpc.ServerStreamingServer[demopb.Waiting]) error {
			return errors.Join(s.Send(&demopb.Waiting{}), hold(s.Context()))
		}}},
		{"ends before its deadline", "deadline", "want DeadlineExceeded", &faulty{wait: func(s grpc.ServerStreamingServer[demopb.Waiting]) error {
			return s.Send(&demopb.Waiting{HasDeadline: true})
		}}},
		{"claims the deadline at once", "deadline", "fired after", &faulty{wait: func(s grpc.ServerStreamingServer[demopb.Waiting]) error {
			s.Send(&demopb.Waiting{HasDeadline: true})
			return status.Error(codes.DeadlineExceeded, "already")
		}}},
		{"saw something else", "deadline", "a ghost", &faulty{seen: func() (*demopb.SeenReply, error) {
			return &demopb.SeenReply{Reason: "a ghost"}, nil
		}}},
		{"saw a deadline in a cancellation", "cancellation", "deadline", &faulty{seen: func() (*demopb.SeenReply, error) {
			return &demopb.SeenReply{Reason: context.DeadlineExceeded.Error()}, nil
		}}},
		{"never saw the call", "cancellation", "saw", &faulty{seen: func() (*demopb.SeenReply, error) {
			return nil, status.Error(codes.NotFound, "which call?")
		}}},
		{"takes the order", "rich error", "no error", &faulty{order: func() (*demopb.OrderReply, error) {
			return &demopb.OrderReply{}, nil
		}}},
		{"no details", "rich error", "details []", &faulty{order: func() (*demopb.OrderReply, error) {
			return nil, status.Error(codes.InvalidArgument, "no")
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			conn := dialServer(t, tt.server)
			for _, s := range steps {
				if s.name != tt.step {
					continue
				}
				got, err := runStep(t.Context(), conn, s)
				if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), tt.step) {
					t.Errorf("got %v, %v, want an error of %q with %q", got, err, tt.step, tt.want)
				}
				return
			}
			t.Errorf("no step %q", tt.step)
		})
	}
}

func TestMeasureNoticesWrongGreetings(t *testing.T) {
	conn := dialServer(t, &faulty{hello: func() (*greetpb.HelloReply, error) { return &greetpb.HelloReply{}, nil }})
	_, _, err := measure(t.Context(), conn, conn)
	if err == nil || !strings.Contains(err.Error(), `want "Hello World"`) {
		t.Errorf("got %v", err)
	}
}

func TestSummary(t *testing.T) {
	var times []time.Duration
	for i := range 100 {
		times = append(times, time.Duration(100-i))
	}
	if got, want := summary(times), (latency{median: 51, p99: 100}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func hold(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

func dialServer(t *testing.T, f *faulty) *grpc.ClientConn {
	t.Helper()
	pipe := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(grpcpipe.ServerOptions()...)
	demopb.RegisterDemoServer(s, f)
	greetpb.RegisterGreeterServer(s, f)
	go s.Serve(lis) // ends with Stop
	t.Cleanup(s.Stop)
	conn, err := grpcpipe.NewClient(pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}
