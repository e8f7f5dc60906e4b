// Package greeter_test runs the two programs as a reader of the README does.
package greeter_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestServerAndClientAsBuilt(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here to build the programs with (Wine); the tests beside each program run it in any case")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	dir := t.TempDir()
	build := exec.CommandContext(ctx, goTool, "build", "-o", dir+string(filepath.Separator), "./server", "./client")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	exe := ""
	if runtime.GOOS == "windows" {
		exe = ".exe"
	}
	pipe := testproc.PipeName()
	server, err := testproc.Start(t, exec.CommandContext(ctx, filepath.Join(dir, "server"+exe), "-pipe", pipe))
	if err != nil {
		t.Fatal(err)
	}
	// The server logs its address to standard error.
	if err := server.WaitStderr(ctx, "listening on"); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "client"+exe), "-pipe", pipe).CombinedOutput()
	if err != nil {
		t.Fatalf("client: %v\n%s", err, out)
	}
	if got, want := strings.TrimSpace(string(out)), "Hello World"; got != want {
		t.Errorf("the client printed %q, want %q", got, want)
	}
}
