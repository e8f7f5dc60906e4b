// Package testproc runs a package's tests and the processes they need: programs
// that the test binary plays itself, so that they run wherever the test does,
// and foreign ones. Every process is gone when its test ends.
package testproc

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// programEnv names the program that the test binary is to be.
const programEnv = "GRPCPIPE_TEST_PROGRAM"

// waitDelay bounds how long a process that has ended may keep its output open
// through children of its own.
const waitDelay = 5 * time.Second

// raceExit keeps a process with the race detector from sleeping a second before
// it exits.
const raceExit = "GORACE=atexit_sleep_ms=0"

// Main is the whole of a TestMain: it runs the tests and fails if they leave a
// goroutine behind or, in a process made by Self, it runs one of the programs.
func Main(m *testing.M, programs map[string]func()) {
	name, ok := os.LookupEnv(programEnv)
	if !ok {
		os.Exit(Checked{m}.Run())
	}
	program, ok := programs[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "testproc: no program %q in this test binary\n", name)
		os.Exit(2)
	}
	program()
	os.Exit(0)
}

// Checked is a [testing.M] whose Run fails if the tests leave a goroutine behind.
type Checked struct{ *testing.M }

// Run runs the tests and returns the exit code of the process.
func (c Checked) Run() int {
	code := c.M.Run()
	removeCopies()
	if code == 0 {
		if err := Leaks(); err != nil {
			fmt.Fprintln(os.Stderr, "after all tests:", err)
			code = 1
		}
	}
	return code
}

// Leaks waits up to 5 s for all goroutines but the caller's and those that opts
// exclude to end, and returns an error with the stacks of the ones that don't.
func Leaks(opts ...goleak.Option) error {
	for end := time.Now().Add(5 * time.Second); ; { // a try of goleak's takes half a second
		err := goleak.Find(opts...)
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

// Goroutines returns the number of goroutines whose stack contains all the
// texts.
func Goroutines(texts ...string) int {
	buf := make([]byte, 8<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(stack, text) }) {
			n++
		}
	}
	return n
}

// Eventually polls until ok, and fails the test at the end of ctx.
func Eventually(ctx context.Context, t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

// Self returns a command that runs one of the programs given to Main in a
// process of its own. Killed when ctx ends.
func Self(ctx context.Context, program string, args ...string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Env = append(os.Environ(), programEnv+"="+program, raceExit)
	return cmd, nil
}

// PipeName returns a pipe name that nobody else uses.
func PipeName() string { return "gp-" + strings.ToLower(rand.Text()[:16]) }

// A Process is a process under test. Its methods may be called at the same
// time.
type Process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stdout output
	stderr output
	done   chan struct{} // closed when the process has ended and err is set
	err    error
}

// Start starts cmd with its standard input held open and its output kept.
// When the test ends the process is killed if it still runs, and what it wrote
// to standard error is logged if the test failed.
func Start(t testing.TB, cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	p.stdout.changed = make(chan struct{})
	p.stderr.changed = make(chan struct{})
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &p.stdout, &p.stderr, waitDelay
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() && p.Stderr() != "" {
			t.Logf("standard error of %s:\n%s", cmd.Path, p.Stderr())
		}
	})
	return p, nil
}

// Pid is the process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stdout is what the process has written to standard output so far.
func (p *Process) Stdout() string { return p.stdout.String() }

// Stderr is what the process has written to standard error so far.
func (p *Process) Stderr() string { return p.stderr.String() }

// WaitLine waits until the process has written a line that begins with prefix
// to standard output, and returns it. The end of the process or of ctx before
// that is an error which holds what the process said.
func (p *Process) WaitLine(ctx context.Context, prefix string) (string, error) {
	var found string
	err := p.wait(ctx, &p.stdout, prefix, func(said string) bool {
		for line := range strings.Lines(said) {
			if strings.HasSuffix(line, "\n") && strings.HasPrefix(line, prefix) {
				found = strings.TrimRight(line, "\r\n")
				return true
			}
		}
		return false
	})
	return found, err
}

// WaitStdout waits until enough says that standard output is complete; what
// names it for the error.
func (p *Process) WaitStdout(ctx context.Context, what string, enough func(said string) bool) error {
	return p.wait(ctx, &p.stdout, what, enough)
}

// WaitStderr waits until the process has written text to standard error.
func (p *Process) WaitStderr(ctx context.Context, text string) error {
	return p.wait(ctx, &p.stderr, text, func(said string) bool { return strings.Contains(said, text) })
}

// wait waits until enough likes what o holds.
func (p *Process) wait(ctx context.Context, o *output, what string, enough func(string) bool) error {
	for {
		said, changed := o.all()
		if enough(said) {
			return nil
		}
		select {
		case <-changed:
		case <-p.done:
			if enough(o.String()) {
				return nil
			}
			return fmt.Errorf("%s ended (%v) before it wrote %q; standard output: %s; standard error: %s", p.cmd.Path, p.err, what, p.Stdout(), p.Stderr())
		case <-ctx.Done():
			return fmt.Errorf("%s did not write %q: %w; standard output: %s; standard error: %s", p.cmd.Path, what, ctx.Err(), p.Stdout(), p.Stderr())
		}
	}
}

// CloseStdin ends the process's standard input, which is how the servers among
// the programs are asked to stop.
func (p *Process) CloseStdin() { p.stdin.Close() }

// Wait waits for the end of the process and returns what [exec.Cmd.Wait] did.
// When ctx ends first the process is killed and that is the error.
func (p *Process) Wait(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		p.Kill()
		return fmt.Errorf("%s had to be killed: %w", p.cmd.Path, ctx.Err())
	}
}

// Kill ends the process at once and waits until it is gone.
func (p *Process) Kill() {
	p.cmd.Process.Kill() // fails only if the process has ended
	<-p.done
	p.stdin.Close()
}

// output collects what a process writes and tells who waits for it.
type output struct {
	mu      sync.Mutex
	buf     bytes.Buffer
	changed chan struct{} // closed and replaced at every write
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.buf.Write(b)
	close(o.changed)
	o.changed = make(chan struct{})
	return len(b), nil
}

func (o *output) String() string {
	s, _ := o.all()
	return s
}

// all returns everything so far, and a channel that is closed when there is
// more.
func (o *output) all() (string, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String(), o.changed
}
