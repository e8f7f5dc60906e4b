package endure

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// A slot is a server's name, the processes that serve it one after the other, and
// the clients that call it.
type slot struct {
	t        testing.TB
	name     string
	engine   engine.Engine // the zero Engine for .NET
	pipe     string
	disk     string // the small file system that the socket is on, or ""
	file     string // of the numbers of the calls that were served
	troubles []trouble
	rand     *rand.Rand

	server  *testproc.Process
	scope   *scope
	clients []*client
	callers uint64 // clients that were killed
	windows []window
	ledger  ledger
	counts  map[string]int // of troubles
	sizes   []size
}

// A scope is a test's end for one process, so that a long run doesn't collect what
// must be done at the end of the test.
type scope struct {
	testing.TB
	cleanups []func()
}

func (s *scope) Cleanup(f func()) { s.cleanups = append(s.cleanups, f) }

func (s *scope) close() {
	for _, f := range s.cleanups {
		f()
	}
	s.cleanups = nil
}

// start starts a server on the slot's name; the one that has it, if any, stays the
// slot's until the new one is ready.
func (s *slot) start(ctx context.Context) error {
	scope := &scope{TB: s.t}
	if s.engine.Name == "" {
		s.server, s.scope = dotnetpeer.StartServer(scope, s.pipe).Process, scope
		return nil
	}
	p, err := s.try(ctx, scope)
	if err != nil {
		scope.close()
		return err
	}
	s.server, s.scope = p, scope
	return nil
}

func (s *slot) try(ctx context.Context, scope *scope) (*testproc.Process, error) {
	cmd, err := testproc.Self(context.WithoutCancel(ctx), "server", s.engine.Name, s.pipe, s.file)
	if err != nil {
		return nil, err
	}
	p, err := testproc.Start(scope, cmd)
	if err == nil {
		_, err = p.WaitLine(ctx, "ready")
	}
	return p, err
}

// stop has the server end in an orderly way.
func (s *slot) stop(ctx context.Context) error {
	s.server.CloseStdin()
	err := s.server.Wait(ctx)
	s.scope.close()
	if err != nil {
		return fmt.Errorf("%s: the server did not stop: %w: %s", s.name, err, s.server.Stderr())
	}
	return nil
}

// A trouble is something that happens to a slot.
type trouble struct {
	name string
	run  func(*slot, context.Context) error
}

// errLeftOut is what a trouble returns that can't be made here.
var errLeftOut = errors.New("left out")

var (
	replaced = trouble{"replaced", func(s *slot, ctx context.Context) error {
		old, scope := s.server, s.scope
		if err := s.start(ctx); err != nil {
			return err
		}
		err := old.Wait(ctx)
		scope.close()
		return err
	}}
	killed = trouble{"killed", func(s *slot, ctx context.Context) error {
		from := time.Now()
		s.server.Kill()
		s.scope.close()
		pause(ctx, s.upTo(200*time.Millisecond))
		err := s.start(ctx)
		s.windows = append(s.windows, window{from, time.Now()})
		return err
	}}
	restarted = trouble{"restarted", func(s *slot, ctx context.Context) error {
		from := time.Now()
		if err := s.stop(ctx); err != nil {
			return err
		}
		err := s.start(ctx)
		if s.engine.Name == "" { // Kestrel cuts off what takes too long
			s.windows = append(s.windows, window{from, time.Now()})
		}
		return err
	}}
	stopped = trouble{"stopped for a while", func(s *slot, ctx context.Context) error {
		if err := s.server.Freeze(); err != nil {
			return err
		}
		pause(ctx, s.upTo(time.Second))
		return s.server.Thaw()
	}}
	exhausted = trouble{"out of descriptors", func(s *slot, ctx context.Context) error {
		restore, err := limitHandles(s.server.Pid())
		if err != nil {
			return fmt.Errorf("%w: %w", errLeftOut, err)
		}
		pause(ctx, s.upTo(800*time.Millisecond))
		return restore()
	}}
	// A successor gets the socket that there is, so it needs no room.
	replacedFull = trouble{"replaced on a full disk", func(s *slot, ctx context.Context) error {
		empty, err := s.fillDisk()
		if err != nil {
			return err
		}
		err = replaced.run(s, ctx)
		empty()
		if err != nil {
			return err
		}
		return replaced.run(s, ctx)
	}}
	restartedFull = trouble{"restarted on a full disk", func(s *slot, ctx context.Context) error {
		if s.disk == "" {
			return errNoDisk
		}
		if err := s.stop(ctx); err != nil {
			return err
		}
		empty, err := s.fillDisk()
		if err != nil {
			return err
		}
		if err = s.start(ctx); err == nil || !strings.Contains(err.Error(), "no space left on device") {
			err = fmt.Errorf("a server without room for its socket: %v", err)
		} else {
			err = nil
		}
		empty()
		return errors.Join(err, s.start(ctx))
	}}
	clientKilled = trouble{"client killed", func(s *slot, ctx context.Context) error {
		s.callers++
		cmd, err := testproc.Self(ctx, "caller", engine.All[s.rand.IntN(2)].Name, s.pipe, fmt.Sprint(callerNumbers+8*s.callers))
		if err != nil {
			return err
		}
		scope := &scope{TB: s.t}
		defer scope.close()
		p, err := testproc.Start(scope, cmd)
		if err != nil {
			return err
		}
		if _, err := p.WaitLine(ctx, "ready"); err != nil {
			return err
		}
		pause(ctx, s.upTo(500*time.Millisecond))
		p.Kill()
		return nil
	}}
	dotnetClient = trouble{".NET client", func(s *slot, ctx context.Context) error {
		scope := &scope{TB: s.t}
		defer scope.close()
		args := []string{"--concurrency", "4", "--seconds", "0.5"}
		if s.rand.IntN(2) == 0 {
			args = append(args, "--stream")
		}
		_, err := dotnetpeer.StartBench(ctx, scope, s.pipe, args...).Result(ctx)
		return err
	}}
)

// nodeEnv names a folder with the node_modules of interop/node.
const nodeEnv = "GRPCPIPE_NODE"

// Clients of other languages make each of gRPC's cases once.
var (
	nodeClient = trouble{"Node client", func(s *slot, ctx context.Context) error {
		modules := os.Getenv(nodeEnv)
		program, err := exec.LookPath("node")
		switch {
		case runtime.GOOS == "windows":
			return fmt.Errorf("%w: interop has it there", errLeftOut)
		case err != nil:
			return fmt.Errorf("%w: %w", errLeftOut, err)
		case modules == "":
			return fmt.Errorf("%w: %s is not set", errLeftOut, nodeEnv)
		}
		dir, file := filepath.Split(s.pipe) // the program takes a pipe's name
		cmd := exec.CommandContext(ctx, program, interopFile("node/client.js"), strings.TrimPrefix(file, "CoreFxPipe_"))
		cmd.Env = append(os.Environ(), "NODE_PATH="+filepath.Join(modules, "node_modules"), "TMPDIR="+dir)
		return passesAll(cmd)
	}}
	pythonClient = trouble{"Python client", func(s *slot, ctx context.Context) error {
		if runtime.GOOS == "windows" {
			return fmt.Errorf("%w: gRPC's C core opens no Win32 pipes", errLeftOut)
		}
		const program = "/usr/bin/python3"
		if err := exec.CommandContext(ctx, program, "-c", "import grpc").Run(); err != nil {
			return fmt.Errorf("%w: no Python with grpcio: %w", errLeftOut, err)
		}
		return passesAll(exec.CommandContext(ctx, program, interopFile("python/peer.py"), "client", s.pipe))
	}}
)

func interopFile(name string) string { return filepath.Join("..", "..", "..", "interop", name) }

// passesAll runs a client of another language.
func passesAll(cmd *exec.Cmd) error {
	out, err := cmd.CombinedOutput()
	if err == nil && !strings.Contains(string(out), " passed, 0 failed") {
		err = errors.New("not all cases have passed")
	}
	if err != nil {
		return fmt.Errorf("%w; it said: %s", err, out)
	}
	return nil
}

var errNoDisk = fmt.Errorf("%w: only root can mount a small file system, on Linux", errLeftOut)

// fillDisk makes files on the slot's file system until it holds no more; empty
// removes them.
func (s *slot) fillDisk() (empty func(), err error) {
	if s.disk == "" {
		return nil, errNoDisk
	}
	var made []string
	for {
		name := filepath.Join(s.disk, fmt.Sprint("full", len(made)))
		if err := os.WriteFile(name, nil, 0o600); errors.Is(err, syscall.ENOSPC) {
			break
		} else if err != nil {
			return nil, err
		}
		made = append(made, name)
	}
	return func() {
		for _, name := range made {
			os.Remove(name)
		}
	}, nil
}

// callerNumbers are the numbers of clients that are killed, and all above.
const callerNumbers = 1 << 20

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// upTo is a random time below most.
func (s *slot) upTo(most time.Duration) time.Duration {
	return time.Duration(s.rand.Int64N(int64(most)))
}
