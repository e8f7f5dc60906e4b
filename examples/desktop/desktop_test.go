package desktop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Hello " + in.Name}, nil
}

// serve runs the service until stop.
func serve(t *testing.T, pipe string) (stop func()) {
	t.Helper()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	greetpb.RegisterGreeterServer(srv, greeter{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		srv.Serve(lis)
	}()
	return func() {
		srv.Stop()
		<-done
	}
}

// owner returns the account of this process's pipes, which on Windows need not
// be its user: that of an elevated process is Administrators.
func owner(t *testing.T) string {
	t.Helper()
	pipe := testproc.PipeName()
	defer serve(t, pipe)()
	c, err := namedpipe.Dial(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := c.Peer()
	if err != nil {
		t.Fatal(err)
	}
	return p.User.ID
}

// The client is there before the service, follows its restart, and says what a
// user needs to know.
func TestFollows(t *testing.T) {
	t.Parallel()
	pipe := testproc.PipeName()
	conn, err := Connect(pipe, owner(t))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(t.Context())
	said := make(chan string, 16)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		Watch(ctx, conn, func(text string) { said <- text })
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case text := <-said:
			if !strings.HasPrefix(text, want) {
				t.Errorf("it said %q, want %q", text, want)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("it did not say %q", want)
		}
	}
	expect("The service is not running")
	for range 2 {
		stop := serve(t, pipe)
		expect("Connected")
		if got, err := Greet(t.Context(), conn, "World"); err != nil || got != "Hello World" {
			t.Errorf("got %q, %v", got, err)
		}
		stop()
		expect("The service is not running")
	}
	cancel()
	<-watched
}

// A server of an account that is not the service's gets nothing.
func TestImpostor(t *testing.T) {
	t.Parallel()
	account := "nobody"
	if runtime.GOOS == "windows" {
		account = "S-1-5-19" // LocalService
	}
	pipe := testproc.PipeName()
	defer serve(t, pipe)()
	conn, err := Connect(pipe, account)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{}); err == nil || !strings.Contains(err.Error(), "not trusted") {
		t.Errorf("the impostor was called: %v", err)
	}
}

// Node's client is there before the service and follows its restart.
func TestNode(t *testing.T) {
	t.Parallel()
	dir := os.Getenv("GRPCPIPE_NODE")
	if dir == "" {
		t.Skip("GRPCPIPE_NODE names no folder with Node's modules: see docs/from-node.md")
	}
	if dotnetpeer.UnderWine() {
		t.Skip("under Wine node.exe dies when its standard output is a pipe; interop has Node under Wine")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	pipe := testproc.PipeName()
	addr, err := namedpipe.ResolveAddr(pipe)
	if err != nil {
		t.Fatal(err)
	}
	program := "node"
	if runtime.GOOS == "windows" {
		program = filepath.Join(dir, "node.exe")
	}
	cmd := exec.CommandContext(t.Context(), program, "node/desktop.js", "unix:"+filepath.ToSlash(addr.String()), "../greeter/greetpb/greet.proto")
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for i := range 2 {
		count := func(text string) func(string) bool {
			return func(said string) bool { return strings.Count(said, text) > i }
		}
		if err := p.WaitStdout(ctx, "not running", count("The service is not running")); err != nil {
			t.Fatal(err)
		}
		stop := serve(t, pipe)
		if err := p.WaitStdout(ctx, "Hello World", count("Hello World")); err != nil {
			t.Fatal(err)
		}
		stop()
	}
}
