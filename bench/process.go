package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// A process is a child: a contender's server or client.
type process struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	lines chan []byte // its output; closed when it ends
	told  tail
	first answer
}

// patience is how much longer than expected a child may take.
const patience = 20 * time.Second

// start runs words, followed by args, as a child.
func start(words []string, args ...string) (*process, error) {
	words = append(words[:len(words):len(words)], args...)
	p := &process{cmd: exec.Command(words[0], words[1:]...), lines: make(chan []byte, 8)}
	p.cmd.Stderr = &p.told
	p.cmd.WaitDelay = time.Second // a program that it has started may still have its standard error
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.lines)
		dec := json.NewDecoder(out)
		for {
			var raw json.RawMessage
			if dec.Decode(&raw) != nil {
				return
			}
			p.lines <- raw
		}
	}()
	if p.first, err = p.read(patience); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// ask sends a command and waits for the answer.
func (p *process) ask(c command, d time.Duration) (answer, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return answer{}, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return answer{}, p.death()
	}
	return p.read(d + patience)
}

func (p *process) read(d time.Duration) (answer, error) {
	var a answer
	select {
	case b, ok := <-p.lines:
		if !ok {
			return a, p.death()
		}
		if err := json.Unmarshal(b, &a); err != nil {
			return a, err
		}
	case <-time.After(d):
		return a, fmt.Errorf("no answer within %v", d)
	}
	switch {
	case a.Not:
		return a, errNot
	case a.Error != "":
		return a, errors.New(a.Error)
	}
	return a, nil
}

// errDead means that a process ended too early.
var errDead = errors.New("its process has died")

func (p *process) death() error {
	if s := p.told.String(); s != "" {
		return fmt.Errorf("%w: %s", errDead, s)
	}
	return errDead
}

func (p *process) stop() {
	if p == nil {
		return
	}
	p.in.Close()
	done := make(chan struct{})
	go func() { p.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Second):
		p.cmd.Process.Kill()
		<-done
	}
}

// A tail keeps the first line of a child's standard error.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b.Len() < 4<<10 {
		t.b.Write(p)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, _, _ := strings.Cut(strings.TrimSpace(t.b.String()), "\n")
	return s
}

// A pair is a contender's two processes.
type pair struct {
	name           string
	server, client *process
}

func startPair(words []string, name, addr string) (*pair, error) {
	server, err := start(words, childVerb, "serve", name, addr)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	client, err := start(words, childVerb, "load", name, server.first.Address)
	if err != nil {
		server.stop()
		return nil, fmt.Errorf("client: %w", err)
	}
	return &pair{name, server, client}, nil
}

func (p *pair) stop() {
	p.client.stop()
	p.server.stop()
}

// load measures one line once.
func (p *pair) load(l line, d time.Duration) (*outcome, error) {
	before, err := p.server.ask(command{Verb: "stats"}, 0)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	began := time.Now()
	a, err := p.client.ask(command{Verb: "load", Line: l, Time: d}, 8*d*time.Duration(max(l.Long, 1)))
	if err != nil {
		if s := p.server.told.String(); s != "" {
			err = fmt.Errorf("%w (server: %s)", err, s)
		}
		return nil, err
	}
	whole := time.Since(began)
	after, err := p.server.ask(command{Verb: "stats"}, 0)
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	// The server's figures include the warm-up: they are scaled to the part
	// that was measured.
	o := a.Outcome
	part := min(float64(o.Elapsed)/float64(whole), 1)
	o.Server = after.Stats.minus(before.Stats)
	o.Server.Allocs = uint64(float64(o.Server.Allocs) * part)
	o.Server.CPU = time.Duration(float64(o.Server.CPU) * part)
	o.Server.Switches = int64(float64(o.Server.Switches) * part)
	return o, nil
}

// self returns the command line that runs this program again.
func self() ([]string, error) {
	exe, err := os.Executable()
	return []string{exe}, err
}
