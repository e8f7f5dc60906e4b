package demo_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/cli"
	"github.com/grpcpipe/grpcpipe/internal/demo/demopb"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// The demo starts its server by running its own program with its own
// environment, so the test binary is both, as the command is.
func TestMain(m *testing.M) {
	testproc.Main(m, map[string]func(){"grpcpipe": grpcpipeMain, "impostor": impostorMain, "mute": muteMain})
}

func grpcpipeMain() { os.Exit(cli.Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// impostorMain is a grpcpipe whose server says that it is another process.
func impostorMain() {
	if os.Args[1] != "demo-server" {
		grpcpipeMain()
	}
	lis, err := namedpipe.Listen(context.Background(), os.Args[2])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	s := grpc.NewServer(grpcpipe.ServerOptions()...)
	demopb.RegisterDemoServer(s, impostor{path: lis.Addr()})
	fmt.Println("ready 127.0.0.1:1")
	fmt.Fprintln(os.Stderr, "impostor at work")
	s.Serve(lis) // until the demo kills this process
}

type impostor struct {
	demopb.UnimplementedDemoServer
	path net.Addr
}

func (i impostor) Info(context.Context, *demopb.InfoRequest) (*demopb.InfoReply, error) {
	return &demopb.InfoReply{ProcessId: 1, Pipe: i.path.String()}, nil
}

// muteMain is a grpcpipe whose server ends without a word.
func muteMain() {
	if os.Args[1] != "demo-server" {
		grpcpipeMain()
	}
	os.Exit(3)
}

func TestDemo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd, err := testproc.Self(ctx, "grpcpipe", "demo")
	if err != nil {
		t.Fatal(err)
	}
	checkDemo(t, ctx, cmd)
}

func TestDemoAsBuilt(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here to build the program with (Wine); TestDemo runs it in any case")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	program := filepath.Join(t.TempDir(), "grpcpipe")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.CommandContext(ctx, goTool, "build", "-o", program, "../../cmd/grpcpipe").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	checkDemo(t, ctx, exec.CommandContext(ctx, program, "demo"))
}

// checkDemo runs the command and checks what a user sees.
func checkDemo(t *testing.T, ctx context.Context, cmd *exec.Cmd) {
	t.Helper()
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(ctx); err != nil {
		t.Fatalf("%v\n%s%s", err, p.Stdout(), p.Stderr())
	}
	out := p.Stdout()
	t.Log("\n" + out)
	for _, want := range []string{
		`(?m)^  pipe +(\S+)$`,
		`(?m)^  server +process \d+$`,
		fmt.Sprintf(`(?m)^  client +process %d$`, p.Pid()),
		`got "Hello World"`,
		`got 1000 numbers, in order`,
		`sum 500500`,
		`DeadlineExceeded after`,
		`saw the call end: context canceled`,
		`item must not be empty, amount must be at least 1`,
		`(?m)^  named pipe +\d+ µs +\d+ µs$`,
		`(?m)^  TCP loopback +\d+ µs +\d+ µs$`,
		`Unavailable after \d`,
		`the same channel works again \d`,
		`Everything was as expected`,
	} {
		if !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("the output has nothing like %q", want)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("escape sequences, though not on a terminal")
	}
	if p.Stderr() != "" {
		t.Errorf("standard error: %s", p.Stderr())
	}
	// No server is left behind.
	if path := regexp.MustCompile(`(?m)^  pipe +(\S+)\s*$`).FindStringSubmatch(out); path != nil {
		if c, err := namedpipe.Dial(ctx, path[1]); err == nil {
			c.Close()
			t.Errorf("a server still listens on %s", path[1])
		}
	}
}

func TestDemoFailsWithStatus1(t *testing.T) {
	for program, want := range map[string]string{
		"impostor": "process 1 answered",
		"mute":     "ended early",
	} {
		t.Run(program, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd, err := testproc.Self(ctx, program, "demo")
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.CombinedOutput()
			if got := cmd.ProcessState.ExitCode(); got != 1 {
				t.Errorf("exit status %d (%v), want 1", got, err)
			}
			for _, want := range []string{want, "grpcpipe-demo-"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("the output does not hold %q: %s", want, out)
				}
			}
			if strings.Contains(string(out), "as expected") {
				t.Errorf("success is claimed: %s", out)
			}
		})
	}
}

func TestDemoInterrupted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("os.Process.Signal can't send Ctrl-C on Windows")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd, err := testproc.Self(ctx, "grpcpipe", "demo")
	if err != nil {
		t.Fatal(err)
	}
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	line, err := p.WaitLine(ctx, "  pipe ")
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	p.Wait(ctx) // its status is looked at below
	if got := cmd.ProcessState.ExitCode(); got != 1 || !strings.Contains(p.Stderr(), "interrupted") {
		t.Errorf("exit status %d, standard error %q, want 1 and a word of the interruption", got, p.Stderr())
	}
	path := strings.Fields(line)[1]
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the server has left %s behind (%v)", path, err)
	}
}
