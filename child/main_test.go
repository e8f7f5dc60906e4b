package child_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/child"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) {
	testproc.Main(m, map[string]func(){
		"good":     func() { serve(true) },
		"stubborn": func() { serve(false) },
		"early":    early,
		"silent":   silent,
		"rubbish":  rubbish,
		"wrapper":  wrapper,
		"parent":   parent,
		"mute":     mute,
		"stranger": func() {
			fmt.Println(status.Code(tryHello(context.Background(), os.Args[len(os.Args)-1])))
		},
	})
}

// plugin is what the children serve.
type plugin struct {
	greetpb.UnimplementedGreeterServer
	lis *child.Listener
}

func (p plugin) SayHello(ctx context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	switch in.Name {
	case "crash":
		fmt.Fprintln(os.Stderr, "about to crash")
		os.Exit(3)
	case "parent":
		conn, err := p.lis.Parent()
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: "your child"})
	case "info":
		info, ok := p.lis.ParentInfo()
		return &greetpb.HelloReply{Message: fmt.Sprint(info, ok)}, nil
	case "wait":
		<-ctx.Done()
		return nil, ctx.Err()
	case "env":
		return &greetpb.HelloReply{Message: os.Getenv(child.PipeEnv)}, nil
	case "log":
		fmt.Fprintln(os.Stderr, `{"level":"warning","msg":"from JSON","answer":42}`)
		fmt.Fprintln(os.Stdout, "plain text")
	}
	return &greetpb.HelloReply{Message: fmt.Sprintf("Hello %s from %d", in.Name, os.Getpid())}, nil
}

// serve is a child as the package's documentation shows it, but for a child
// that does not stop when asked.
func serve(stops bool) {
	lis, err := child.Listen(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	lis.Register(srv, child.Info{Version: "1.2.3", Capabilities: []string{"greet", "wait"}})
	greetpb.RegisterGreeterServer(srv, plugin{lis: lis})
	if stops {
		context.AfterFunc(lis.Context(), srv.GracefulStop)
	}
	if err := srv.Serve(lis); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func early() {
	fmt.Fprintln(os.Stderr, "no configuration found")
	os.Exit(4)
}

// silent never listens.
func silent() {
	fmt.Fprintln(os.Stderr, "thinking")
	forever()
}

// mute serves gRPC without the health service, and ends with standard input as
// a program in another language does.
func mute() {
	lis, err := namedpipe.Listen(context.Background(), os.Getenv(child.PipeEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	greetpb.RegisterGreeterServer(srv, plugin{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		srv.GracefulStop()
	}()
	srv.Serve(lis)
}

// rubbish speaks something else.
func rubbish() {
	lis, err := namedpipe.Listen(context.Background(), os.Getenv(child.PipeEnv))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		c, err := lis.Accept()
		if err != nil {
			os.Exit(1)
		}
		go func(c net.Conn) {
			io.WriteString(c, "220 mail.example.com ESMTP ready\r\n")
			io.Copy(io.Discard, c)
			c.Close()
		}(c)
	}
}

// wrapper runs the server as a process of its own, as a shell does.
func wrapper() {
	cmd, err := testproc.Self(context.Background(), "mute")
	if err != nil {
		os.Exit(1)
	}
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	cmd.Run()
}

// parent has a child that does not stop by itself, says which process it is,
// and waits to be killed.
func parent() {
	cmd, err := testproc.Self(context.Background(), os.Args[len(os.Args)-1])
	if err != nil {
		os.Exit(1)
	}
	p, err := child.Start(context.Background(), cmd)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("child %d %s\n", p.PID(), p.Pipe())
	forever()
}

// forever blocks without looking like a deadlock to the runtime.
func forever() { <-time.After(time.Hour) }

// tryHello calls the server on a pipe as any process of the same user can.
func tryHello(ctx context.Context, pipe string) error {
	conn, err := grpcpipe.NewClient("npipe:" + pipe)
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{})
	return err
}

// greeter is what the parent serves.
type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(ctx context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	p, ok := grpcpipe.PeerFromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "no peer")
	}
	return &greetpb.HelloReply{Message: fmt.Sprintf("Hello %s, process %d", in.Name, p.PID)}, nil
}

// command returns the command of a child that the test binary plays.
func command(t *testing.T, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd, err := testproc.Self(context.Background(), program, args...)
	if err != nil {
		t.Fatal(err)
	}
	// Start makes a process of its own of the template.
	return &exec.Cmd{Path: cmd.Path, Args: cmd.Args, Env: cmd.Env}
}

// start starts a child that is gone when the test ends.
func start(t *testing.T, cfg child.Config, program string) *child.Process {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	p, err := cfg.Start(t.Context(), command(t, program))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func hello(t *testing.T, p *child.Process, name string, opts ...grpc.CallOption) (string, error) {
	t.Helper()
	reply, err := greetpb.NewGreeterClient(p.Conn()).SayHello(t.Context(), &greetpb.HelloRequest{Name: name}, opts...)
	return reply.GetMessage(), err
}
