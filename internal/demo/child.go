package demo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	// startLimit bounds the start of a server process.
	startLimit = 10 * time.Second
	// endLimit is what a server process has to end when nobody looks at how.
	endLimit = time.Second
)

// child is a server process.
type child struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	stderr bytes.Buffer
	tcp    string    // the address of its TCP listener
	began  time.Time // when the process was started
	ready  time.Time // when it said that it listens
	ended  chan struct{}
	err    error // what Wait returned, once ended is closed
}

// startChild starts the server with cmd and waits until it listens.
func startChild(ctx context.Context, cmd *exec.Cmd) (*child, error) {
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	// A pipe of our own, because Wait closes the one of StdoutPipe under its
	// reader.
	out, in := io.Pipe()
	c := &child{cmd: cmd, stdin: stdin, ended: make(chan struct{}), began: time.Now()}
	// The end of ctx asks the process to end, which lets it remove its socket;
	// if it doesn't, it is killed after WaitDelay.
	cmd.Cancel = stdin.Close
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = in, &c.stderr, endLimit
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("the server process could not be started: %w", err)
	}
	go func() {
		c.err = cmd.Wait()
		in.Close()
		close(c.ended)
	}()
	first := make(chan string, 1)
	go func() {
		r := bufio.NewReader(out)
		line, _ := r.ReadString('\n')
		c.ready = time.Now()
		first <- line
		io.Copy(io.Discard, r) // until in is closed
	}()
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	select {
	case line := <-first:
		tcp, ok := strings.CutPrefix(strings.TrimSpace(line), readyPrefix)
		if !ok {
			c.end()
			return nil, fmt.Errorf("the server process ended early or said %q: %v; standard error: %s", line, c.err, &c.stderr)
		}
		c.tcp = tcp
		return c, nil
	case <-ctx.Done():
		c.end()
		return nil, fmt.Errorf("the server process was not ready: %w; standard error: %s", ctx.Err(), &c.stderr)
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// kill ends the process at once and waits until it is gone. It may be called
// again.
func (c *child) kill() {
	c.cmd.Process.Kill() // fails only if it has ended
	<-c.ended
}

// end ends the process in whatever way it takes, and waits until it is gone.
func (c *child) end() { c.stop(endLimit) }

// stop asks the process to end, as it does when its standard input ends, and
// waits for it.
func (c *child) stop(limit time.Duration) error {
	c.stdin.Close()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-c.ended:
		if c.err != nil {
			return fmt.Errorf("the server process ended with %w; standard error: %s", c.err, &c.stderr)
		}
		return nil
	case <-late.C:
		c.kill()
		return errors.New("the server process did not stop when asked and was killed")
	}
}
