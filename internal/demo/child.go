package demo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

const (
	// startLimit bounds the start of a server process.
	startLimit = 10 * time.Second
	// endLimit bounds the end of a server process whose exit status is ignored.
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
	// Not StdoutPipe: Wait would close it while it is being read.
	out, in := io.Pipe()
	c := &child{cmd: cmd, stdin: stdin, ended: make(chan struct{}), began: time.Now()}
	// When ctx ends, ask the process to end, so that it can remove its socket.
	// It is killed after WaitDelay if it doesn't.
	cmd.Cancel = stdin.Close
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = in, &c.stderr, endLimit
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the server process: %w", err)
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
		return nil, fmt.Errorf("the server process did not become ready: %w; standard error: %s", ctx.Err(), &c.stderr)
	}
}

func (c *child) pid() int { return c.cmd.Process.Pid }

// kill kills the process and waits until it is gone. It may be called more than
// once.
func (c *child) kill() {
	c.cmd.Process.Kill() // fails only if it has ended
	<-c.ended
}

// end asks the process to end, kills it if it doesn't, and waits until it is gone.
func (c *child) end() { c.stop(endLimit) }

// stop asks the process to end by closing its standard input, and waits for it.
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
		return fmt.Errorf("the server process did not stop in %v and was killed", limit)
	}
}
