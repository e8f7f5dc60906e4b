package interop_test

import (
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// net/http on our listener and dialer, with both versions of HTTP, with and
// without TLS.
func TestNetHTTP(t *testing.T) {
	t.Run("plain", func(t *testing.T) {
		seen.Row(t, "net-http-plain")
		protocolVersions(t)
	})
	t.Run("tls", func(t *testing.T) {
		seen.Row(t, "net-http-tls")
		protocolVersionsTLS(t)
	})
}

// connect-go is no dependency of the library and has a module of its own with
// the test of it, interop/connect, which this runs.
func TestConnectGo(t *testing.T) {
	seen.Row(t, "connect-go")
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here (under Wine there is none; scripts/interop-table runs that test itself)")
	}
	cmd := exec.CommandContext(limited(t, 5*time.Minute), tool, "test", "-count=1", "-timeout", "1m", "./...")
	cmd.Dir = "connect"
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// python returns a Python that has grpcio, or skips the test.
func python(t *testing.T) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("gRPC's C core opens no Win32 pipes")
	}
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if path, err := exec.LookPath(name); err == nil && exec.Command(path, "-c", "import grpc").Run() == nil {
			return path
		}
	}
	t.Skip("no Python with grpcio here: Debian has it in python3-grpcio")
	return ""
}

// Python's grpcio, on gRPC's C core, as the client of a Go server.
func TestPythonClientToGoServer(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		mark := seen.RowOf(t, "python-go", e.Name)
		program := python(t)
		pipe := testproc.PipeName()
		ctx := limited(t, 2*time.Minute)
		newServer(t, ctx, e, pipe)
		out, err := exec.CommandContext(ctx, program, "python/peer.py", "client", socket(t, pipe)).CombinedOutput()
		if err != nil || !strings.Contains(string(out), " passed, 0 failed") {
			t.Fatalf("%v; it said: %s", err, out)
		}
		mark.Say("%d cases", strings.Count(string(out), "ok "))
	})
}

// A Go client against a server of Python's grpcio.
func TestGoClientToPythonServer(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		seen.RowOf(t, "go-python", e.Name)
		program := python(t)
		pipe := testproc.PipeName()
		ctx := limited(t, 2*time.Minute)
		p, err := testproc.Start(t, exec.CommandContext(ctx, program, "python/peer.py", "server", socket(t, pipe)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.WaitLine(ctx, "ready"); err != nil {
			t.Fatal(err)
		}
		cc := newConn(t, e, pipe)
		for range 100 {
			mustPing(ctx, t, cc)
		}
		if _, err := hold(ctx, cc); err != nil {
			t.Error(err)
		}
	})
}

// socket is the path that a pipe's name stands for.
func socket(t *testing.T, pipe string) string {
	t.Helper()
	addr, err := namedpipe.ResolveAddr(pipe)
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}
