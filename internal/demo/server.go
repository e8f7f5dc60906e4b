package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/demo/demopb"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// readyPrefix begins the line that the server prints once it listens; the
// address of its TCP listener follows.
const readyPrefix = "ready "

// Serve is the server process. Until stdin ends it serves on the pipe and, for
// the comparison, the greeter also on a TCP port of 127.0.0.1. The end of stdin
// also means that it can't outlive the client.
func Serve(ctx context.Context, pipe string, stdin io.Reader, stdout io.Writer) error {
	lis, err := namedpipe.Listen(ctx, pipe)
	if err != nil {
		return err
	}
	defer lis.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer tcp.Close()

	overPipe := grpc.NewServer(grpcpipe.ServerOptions()...)
	demopb.RegisterDemoServer(overPipe, &demoServer{pipe: lis.Addr().String()})
	greetpb.RegisterGreeterServer(overPipe, greeter{})
	overTCP := grpc.NewServer(append(grpcpipe.ServerOptions(), grpc.Creds(insecure.NewCredentials()))...)
	greetpb.RegisterGreeterServer(overTCP, greeter{})

	served := make(chan error, 2)
	go func() { served <- overPipe.Serve(lis) }()
	go func() { served <- overTCP.Serve(tcp) }()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		io.Copy(io.Discard, stdin)
	}()
	if _, err := fmt.Fprintf(stdout, "%s%s\n", readyPrefix, tcp.Addr()); err != nil {
		return err
	}
	select {
	case err = <-served:
	case <-asked:
	case <-ctx.Done():
	}
	overPipe.Stop()
	overTCP.Stop()
	return err
}

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Hello " + in.GetName()}, nil
}

type demoServer struct {
	demopb.UnimplementedDemoServer
	pipe string

	mu    sync.Mutex
	waits map[string]*wait
}

// wait is what the server saw of one call of Wait.
type wait struct {
	ended  chan struct{} // closed once reason is set
	reason string
}

// waitOf returns the wait with the given id. Wait and Seen may be called in any
// order.
func (s *demoServer) waitOf(id string) *wait {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.waits[id]
	if w == nil {
		w = &wait{ended: make(chan struct{})}
		if s.waits == nil {
			s.waits = map[string]*wait{}
		}
		s.waits[id] = w
	}
	return w
}

func (s *demoServer) Info(context.Context, *demopb.InfoRequest) (*demopb.InfoReply, error) {
	return &demopb.InfoReply{ProcessId: int64(os.Getpid()), Pipe: s.pipe}, nil
}

func (s *demoServer) Count(in *demopb.CountRequest, stream grpc.ServerStreamingServer[demopb.Number]) error {
	for i := range in.GetUpTo() {
		if err := stream.Send(&demopb.Number{Value: int64(i) + 1}); err != nil {
			return err
		}
	}
	return nil
}

func (s *demoServer) Sum(stream grpc.ClientStreamingServer[demopb.Number, demopb.Total]) error {
	var total demopb.Total
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&total)
		}
		if err != nil {
			return err
		}
		total.Sum += in.GetValue()
		total.Numbers++
	}
}

func (s *demoServer) Chat(stream grpc.BidiStreamingServer[demopb.Line, demopb.Line]) error {
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := stream.Send(&demopb.Line{Text: strings.ToUpper(in.GetText())}); err != nil {
			return err
		}
	}
}

func (s *demoServer) Wait(in *demopb.WaitRequest, stream grpc.ServerStreamingServer[demopb.Waiting]) error {
	ctx := stream.Context()
	_, hasDeadline := ctx.Deadline()
	if err := stream.Send(&demopb.Waiting{HasDeadline: hasDeadline}); err != nil {
		return err
	}
	<-ctx.Done()
	w := s.waitOf(in.GetId())
	w.reason = ctx.Err().Error()
	close(w.ended)
	return status.FromContextError(ctx.Err()).Err()
}

func (s *demoServer) Seen(ctx context.Context, in *demopb.SeenRequest) (*demopb.SeenReply, error) {
	w := s.waitOf(in.GetId())
	select {
	case <-w.ended:
		return &demopb.SeenReply{Reason: w.reason}, nil
	case <-ctx.Done():
		return nil, status.FromContextError(ctx.Err()).Err()
	}
}

func (s *demoServer) Order(_ context.Context, in *demopb.OrderRequest) (*demopb.OrderReply, error) {
	var wrong []*errdetails.BadRequest_FieldViolation
	if in.GetItem() == "" {
		wrong = append(wrong, &errdetails.BadRequest_FieldViolation{Field: "item", Description: "must not be empty"})
	}
	if in.GetAmount() < 1 {
		wrong = append(wrong, &errdetails.BadRequest_FieldViolation{Field: "amount", Description: "must be at least 1"})
	}
	if len(wrong) == 0 {
		return &demopb.OrderReply{}, nil
	}
	st, err := status.New(codes.InvalidArgument, "the order is not complete").WithDetails(&errdetails.BadRequest{FieldViolations: wrong})
	if err != nil {
		return nil, err
	}
	return nil, st.Err()
}
