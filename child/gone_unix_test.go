//go:build unix

package child_test

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// waitGone waits until a process that is not this one's child has ended.
func waitGone(t *testing.T, p *os.Process) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	testproc.Eventually(ctx, t, fmt.Sprintf("process %d has ended", p.Pid), func() bool { return p.Signal(syscall.Signal(0)) != nil })
}
