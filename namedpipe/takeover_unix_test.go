//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe_test

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestTakeOverByAnotherUser: a name stays with its user, also where the file
// system would let root have it.
func TestTakeOverByAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two users")
	}
	name := freshName(t)
	theirs, err := testproc.Start(t, commandAs(t, nobody, "take over", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.WaitLine(soon(t), "ready"); err != nil {
		t.Fatal(err)
	}
	l, err := taking.Listen(t.Context(), name)
	if err == nil {
		l.Close()
	}
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "another user's") {
		t.Errorf("root takes over from nobody: %v", err)
	}
	name = freshName(t)
	listen(t, name, taking)
	if said := asNobody(t, "take over", name); !strings.Contains(said, "another user's") {
		t.Errorf("nobody takes over from root: %s", said)
	}
	// Root is a server that every user trusts, but not one to take over from.
	name = freshName(t)
	addr, err := namedpipe.ResolveAddr(name)
	if err != nil {
		t.Fatal(err)
	}
	dir, base := filepath.Split(addr.String())
	listen(t, dir+".next-"+base, namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.Everyone}})
	if said := asNobody(t, "take over", name); !strings.Contains(said, "another user's") {
		t.Errorf("nobody takes over from a pipe of root's that it may use: %s", said)
	}
}

// TestTakeOverIsSeen: clients of a socket that has passed on see the process that
// has it now.
func TestTakeOverIsSeen(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("needs a system that tells a client which process listens")
	}
	name := freshName(t)
	old := helper(t, "take over", name)
	next := helper(t, "take over", name)
	if err := old.Wait(soon(t)); err != nil {
		t.Fatal(err)
	}
	c, pid := whoAnswers(t, name)
	p, err := c.Peer()
	if err != nil {
		t.Fatal(err)
	}
	if pid != next.Pid() || p.PID != pid {
		t.Errorf("the server is process %d, answered by %d, want %d", p.PID, pid, next.Pid())
	}
	if _, err := (&namedpipe.Dialer{Server: namedpipe.Trust{PID: pid}}).Dial(soon(t), name); err != nil {
		t.Error(err)
	}
}

// lines are what is written, such as a log.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

// TestTakeOverTriesAgain: a listener whose second pipe is lost, or can't be made
// when its turn comes, makes it as soon as it can.
func TestTakeOverTriesAgain(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	log := make(lines, 100)
	logged := taking
	logged.Logger = slog.New(slog.NewTextHandler(log, nil))
	first := listen(t, name, taking)
	go answer(first, 1)
	wants(t, name, 1)
	asks := pipename.Next(first.Addr().String())
	if err := os.Remove(asks); err != nil {
		t.Fatal(err)
	}
	second := listen(t, name, logged)
	if err := errors.Join(os.Remove(asks), os.Mkdir(asks, 0o700)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(asks) })
	go answer(second, 2)
	select {
	case said := <-log:
		if !strings.Contains(said, "trying again") {
			t.Errorf("the log says %q", said)
		}
	case <-soon(t).Done():
		t.Fatal("nothing in the log")
	}
	wants(t, name, 2)
	if err := os.Remove(asks); err != nil {
		t.Fatal(err)
	}
	go answer(listen(t, name, taking), 3)
	wants(t, name, 3)
}
