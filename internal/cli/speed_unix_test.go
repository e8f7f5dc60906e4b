//go:build linux

package cli

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
)

// fastest runs f some times and returns the shortest: other programs on the
// machine only ever make it longer.
func fastest(t *testing.T, f func() error) time.Duration {
	t.Helper()
	var times []time.Duration
	for range 10 {
		began := time.Now()
		if err := f(); err != nil {
			t.Fatal(err)
		}
		times = append(times, time.Since(began))
	}
	return slices.Min(times)
}

func TestListOfManyPipes(t *testing.T) {
	const pipes, limit = 10000, 100 * time.Millisecond
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for i := range pipes {
		if err := syscall.Mknod(filepath.Join(dir, fmt.Sprintf("CoreFxPipe_pipe-%05d", i)), syscall.S_IFSOCK|0o600, 0); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	took := fastest(t, func() error {
		out.Reset()
		if exit := execute(t.Context(), []string{"ls"}, strings.NewReader(""), &out, io.Discard); exit != exitOK {
			return fmt.Errorf("exit status %d", exit)
		}
		return nil
	})
	if n := strings.Count(out.String(), "pipe-"); n != pipes {
		t.Errorf("%d of %d pipes were listed", n, pipes)
	}
	if took > limit && !raceDetector {
		t.Errorf("ls of %d pipes took %v, want at most %v", pipes, took, limit)
	}
	soak.Report(t, "ls of 10000 pipes", "at most "+limit.String(), took.String())
}

func TestStart(t *testing.T) {
	const limit = 30 * time.Millisecond
	if raceDetector {
		t.Skip("the race detector's own start takes longer")
	}
	tool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go command here")
	}
	program := filepath.Join(t.TempDir(), "grpcpipe")
	build := exec.Command(tool, "build", "-o", program, "github.com/grpcpipe/grpcpipe/cmd/grpcpipe")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		t.Fatal(err)
	}
	took := fastest(t, func() error { return exec.Command(program, "version").Run() })
	if took > limit {
		t.Errorf("version took %v, want at most %v", took, limit)
	}
	soak.Report(t, "start of version", "at most "+limit.String(), took.String())
}
