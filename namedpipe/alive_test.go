package namedpipe_test

import (
	"runtime"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestAlive: a client's process counts as alive until it has ended.
func TestAlive(t *testing.T) {
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	client := helper(t, "hold", l.Addr().String(), "1")
	s, err := l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.Peer()
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		t.Skip("golang.org/x/sys can't ask this system when a process was started, so each counts as alive")
	}
	if p.PID == 0 {
		t.Fatal("the client's process isn't known")
	}
	if !p.Alive() {
		t.Error("a client that waits for an answer isn't alive")
	}
	client.Kill()
	testproc.Eventually(soon(t), t, "a client that was killed isn't alive", func() bool { return !p.Alive() })
}
