package plugin

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/grpcpipe/grpcpipe/child"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) {
	testproc.Main(m, map[string]func(){"child": func() {
		if err := Child(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}})
}

// Each plug-in is started, asked and stopped.
func TestPlugins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		language string
		command  func(t *testing.T, cfg *child.Config) *exec.Cmd
		want     string
	}{
		{"Go", goPlugin, "Hello World from Go, dear 2.0"},
		{"Node", nodePlugin, "Hello World from Node"},
		{"Python", pythonPlugin, "Hello World from Python"},
		{"C#", csharpPlugin, "Hello World"},
	} {
		t.Run(tt.language, func(t *testing.T) {
			t.Parallel()
			cfg := child.Config{Info: child.Info{Version: "2.0"}}
			got, err := Ask(t.Context(), cfg, tt.command(t, &cfg), "World")
			if err != nil || got != tt.want {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func goPlugin(t *testing.T, _ *child.Config) *exec.Cmd {
	cmd, err := testproc.Self(t.Context(), "child")
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}

func nodePlugin(t *testing.T, _ *child.Config) *exec.Cmd {
	if dotnetpeer.UnderWine() {
		t.Skip("under Wine a pipe that is made without a security descriptor, as Node's is, has no owner to trust")
	}
	dir := os.Getenv("GRPCPIPE_NODE")
	if dir == "" {
		t.Skip("GRPCPIPE_NODE names no folder with Node's modules: see docs/from-node.md")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	program := "node"
	if runtime.GOOS == "windows" {
		program = filepath.Join(dir, "node.exe")
	}
	cmd := exec.Command(program, "node/plugin.js", "../greeter/greetpb/greet.proto")
	cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(dir, "node_modules"))
	return cmd
}

func pythonPlugin(t *testing.T, _ *child.Config) *exec.Cmd {
	if runtime.GOOS == "windows" {
		t.Skip("gRPC's C core opens no Win32 pipes")
	}
	program := "/usr/bin/python3"
	if out, err := exec.Command(program, "-c", "import grpc").CombinedOutput(); err != nil {
		t.Skipf("there is no grpcio for %s: %s", program, strings.TrimSpace(string(out)))
	}
	return exec.Command(program, "python/plugin.py")
}

// csharpPlugin is the .NET program of the interop tests, which takes the name of
// its pipe as an argument. csharp/Program.cs takes it from the environment.
func csharpPlugin(t *testing.T, cfg *child.Config) *exec.Cmd {
	cfg.Pipe = testproc.PipeName()
	return exec.Command(dotnetpeer.Program(t), "server", "--pipe", cfg.Pipe)
}
