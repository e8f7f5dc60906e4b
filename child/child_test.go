package child_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
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

func TestCall(t *testing.T) {
	t.Parallel()
	p := start(t, child.Config{Info: child.Info{Version: "7", Capabilities: []string{"a", "b"}}}, "good")
	if got, err := hello(t, p, "World"); err != nil || got != fmt.Sprintf("Hello World from %d", p.PID()) {
		t.Errorf("got %q, %v", got, err)
	}
	if info := p.Info(); info.Version != "1.2.3" || !info.Has("wait") || info.Has("nothing") {
		t.Errorf("the child's info is %v", info)
	}
	if got, err := hello(t, p, "info"); err != nil || got != "{7 [a b]} true" {
		t.Errorf("the child was told %q, %v", got, err)
	}
	if got, err := hello(t, p, "env"); err != nil || got != "" {
		t.Errorf("the child's own children would see %s=%q, %v", child.PipeEnv, got, err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	select {
	case <-p.Done():
	default:
		t.Error("Done is open after Close")
	}
	if runtime.GOOS != "windows" {
		if _, err := os.Stat(filepath.Dir(p.Pipe())); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket's directory is still there: %v", err)
		}
	}
	if _, err := hello(t, p, "again"); status.Code(err) != codes.Canceled {
		t.Errorf("a call after Close: %v", err)
	}
}

// A child without the health service is ready, too.
func TestNoHealth(t *testing.T) {
	t.Parallel()
	p := start(t, child.Config{}, "mute")
	if got, err := hello(t, p, "World"); err != nil || !strings.HasPrefix(got, "Hello World") {
		t.Errorf("got %q, %v", got, err)
	}
	if p.Info().Version != "" {
		t.Errorf("the child's info is %v", p.Info())
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestChildCallsParent(t *testing.T) {
	t.Parallel()
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	defer srv.Stop()
	greetpb.RegisterGreeterServer(srv, greeter{})
	p := start(t, child.Config{Server: srv}, "good")
	if got, err := hello(t, p, "parent"); err != nil || got != fmt.Sprintf("Hello your child, process %d", p.PID()) {
		t.Errorf("got %q, %v", got, err)
	}
	// Nobody else gets in: this process is not the child, and another is not
	// the parent.
	if err := tryHello(t.Context(), p.Pipe()+"-parent"); status.Code(err) != codes.Unavailable {
		t.Errorf("this process got in on the pipe for the child: %v", err)
	}
	cmd, err := testproc.Self(t.Context(), "stranger", p.Pipe())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) != codes.Unavailable.String() {
		t.Errorf("another process called the child: %q, %v", out, err)
	}
}

func TestStartFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		program string
		want    []string
		is      error
	}{
		{"early", []string{"ended before it served on", "exit status 4", "no configuration found"}, nil},
		{"silent", []string{"runs but does not serve on the pipe", child.PipeEnv, "thinking"}, context.DeadlineExceeded},
		{"rubbish", []string{"220 mail.example.com"}, context.DeadlineExceeded},
		{"wrapper", []string{"is not the child that was started"}, fs.ErrPermission},
	} {
		t.Run(tt.program, func(t *testing.T) {
			t.Parallel()
			p, err := child.Config{StartTimeout: 3 * time.Second, Log: slog.New(slog.DiscardHandler)}.Start(t.Context(), command(t, tt.program))
			if err == nil {
				p.Close()
				t.Fatal("started")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q: %v", want, err)
				}
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("the error is not %v: %v", tt.is, err)
			}
		})
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	cmd := command(t, "good")
	cmd.Stdin = strings.NewReader("x")
	if _, err := child.Start(t.Context(), cmd); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a command with a Stdin: %v", err)
	}
	if _, err := (child.Config{StopTimeout: -1}).Start(t.Context(), command(t, "good")); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a negative StopTimeout: %v", err)
	}
	cmd = command(t, "good")
	cmd.Path = filepath.Join(t.TempDir(), "missing")
	if _, err := child.Start(t.Context(), cmd); !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a program that does not exist: %v", err)
	}
	if _, err := child.Listen(t.Context()); !errors.Is(err, child.ErrNoParent) {
		t.Errorf("Listen in a process that is no child: %v", err)
	}
}

// A call to a child that crashes says how it has ended.
func TestCrash(t *testing.T) {
	t.Parallel()
	p := start(t, child.Config{}, "good")
	for _, what := range []string{"the call", "a later one"} {
		_, err := hello(t, p, "crash")
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "exit status 3") || !strings.Contains(err.Error(), "about to crash") {
			t.Errorf("%s: %v", what, err)
		}
		<-p.Done() // the channel is closed by now
	}
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("Err: %v", err)
	}
	if err := p.Close(); err == nil {
		t.Error("Close says nothing of the crash")
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	p := start(t, child.Config{Restart: true}, "good")
	before := p.PID()
	if _, err := hello(t, p, "crash"); status.Code(err) != codes.Unavailable {
		t.Fatalf("the call that crashes the child: %v", err)
	}
	got, err := hello(t, p, "World", grpc.WaitForReady(true))
	if err != nil || got != fmt.Sprintf("Hello World from %d", p.PID()) || p.PID() == before {
		t.Errorf("after the restart: %q, %v", got, err)
	}
	if err := p.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
}

func TestStubborn(t *testing.T) {
	t.Parallel()
	p := start(t, child.Config{StopTimeout: 100 * time.Millisecond}, "stubborn")
	if err := p.Close(); err == nil || !strings.Contains(err.Error(), "was killed") {
		t.Errorf("Close: %v", err)
	}
}

// A call under way when Close is called may finish.
func TestCloseWaits(t *testing.T) {
	t.Parallel()
	p := start(t, child.Config{}, "good")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	header := make(chan struct{})
	go func() {
		close(header)
		_, err := greetpb.NewGreeterClient(p.Conn()).SayHello(ctx, &greetpb.HelloRequest{Name: "wait"})
		ended <- err
	}()
	<-header
	if _, err := hello(t, p, "World"); err != nil { // after the call was sent
		t.Fatal(err)
	}
	closed := make(chan error)
	go func() { closed <- p.Close() }()
	cancel()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("the call: %v", err)
	}
	if err := <-closed; err != nil {
		t.Errorf("Close: %v", err)
	}
}

// The end of a parent ends its children, even a kill and a child that ignores
// the end of its standard input.
func TestParentKilled(t *testing.T) {
	t.Parallel()
	programs := []string{"good"}
	if runtime.GOOS == "linux" || runtime.GOOS == "windows" {
		programs = append(programs, "stubborn")
	}
	for _, program := range programs {
		cmd, err := testproc.Self(t.Context(), "parent", program)
		if err != nil {
			t.Fatal(err)
		}
		parent, err := testproc.Start(t, cmd)
		if err != nil {
			t.Fatal(err)
		}
		line, err := parent.WaitLine(t.Context(), "child ")
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(line)
		pid, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		grandchild, err := os.FindProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		parent.Kill()
		waitGone(t, grandchild)
		// What a killed parent leaves, the next one removes.
		start(t, child.Config{}, "good").Close()
		if addr, err := namedpipe.ResolveAddr(fields[2]); err != nil {
			t.Fatal(err)
		} else if _, err := os.Stat(addr.String()); runtime.GOOS != "windows" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", addr, err)
		}
	}
}

// records is a slog handler's output.
type records struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{}
}

func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.buf.Write(b)
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return len(b), nil
}

func (r *records) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

func TestLogs(t *testing.T) {
	t.Parallel()
	out := &records{changed: make(chan struct{}, 1)}
	p := start(t, child.Config{Log: slog.New(slog.NewTextHandler(out, nil))}, "good")
	if _, err := hello(t, p, "log"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`level=WARN msg="from JSON"`, "answer=42", "stream=stderr", `level=INFO msg="plain text"`, "stream=stdout", "child=", fmt.Sprintf("pid=%d ", p.PID())} {
		for !strings.Contains(out.String(), want) {
			select {
			case <-out.changed:
			case <-time.After(10 * time.Second):
				t.Fatalf("no %s in the log:\n%s", want, out)
			}
		}
	}
}
