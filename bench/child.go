package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// childVerb makes this program a server or client: child serve|load CONTENDER
// ADDRESS. Commands come on standard input as JSON, a line each, and so do the
// answers on standard output. A child ends when its standard input does, so none
// is left behind.
const childVerb = "child"

// A command is what the orchestrator sends to a child.
type command struct {
	Verb  string // stats, rest, load, open
	Line  line
	Time  time.Duration
	Count int
}

// An answer is a child's answer to a command.
type answer struct {
	Error   string   `json:",omitempty"`
	Not     bool     `json:",omitempty"` // the contender doesn't offer this
	Stats   stats    `json:",omitzero"`
	Outcome *outcome `json:",omitempty"`
	// Printed in the first line of output.
	Address string `json:",omitempty"`
	Procs   int    `json:",omitempty"`
	Go      string `json:",omitempty"`
}

func runChild(args []string) error {
	if len(args) == 1 && args[0] == "list" {
		return json.NewEncoder(os.Stdout).Encode(names())
	}
	if len(args) != 3 {
		return errors.New("child: want serve or load, a contender and an address")
	}
	c := find(args[1])
	if c == nil {
		return fmt.Errorf("child: no contender %q", args[1])
	}
	if c.prepare != nil {
		c.prepare()
	}
	stopProfile, err := profile(args[0], c.name)
	if err != nil {
		return err
	}
	defer stopProfile()
	// A child must not outlive the orchestrator.
	out := json.NewEncoder(os.Stdout)
	if args[0] == "serve" {
		lis, err := c.listener(args[2])
		if err != nil {
			return out.Encode(answer{Error: err.Error()})
		}
		go func() {
			if err := c.serve(lis); err != nil && !errors.Is(err, net.ErrClosed) {
				fmt.Fprintf(os.Stderr, "%s: serving: %v\n", c.name, err)
			}
		}()
		defer lis.Close()
		args[2] = lis.Addr().String()
	}
	if err := out.Encode(answer{Address: args[2], Procs: runtime.GOMAXPROCS(0), Go: runtime.Version()}); err != nil {
		return err
	}
	l := &loader{contender: c, addr: args[2]}
	defer l.close()
	in := json.NewDecoder(bufio.NewReader(os.Stdin))
	for {
		var cmd command
		if err := in.Decode(&cmd); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		if err := out.Encode(l.obey(cmd)); err != nil {
			return err
		}
	}
}

func (c *contender) listener(addr string) (net.Listener, error) {
	if c.listen != nil {
		return c.listen(addr)
	}
	if c.network == "pipe" {
		return namedpipe.Listen(namedpipeContext(), addr)
	}
	return net.Listen(c.network, addr)
}

// A loader makes a client's calls. In a server it only counts.
type loader struct {
	*contender
	addr     string
	mu       sync.Mutex
	sessions []session
}

func (l *loader) obey(cmd command) answer {
	var a answer
	var err error
	switch cmd.Verb {
	case "stats":
	case "rest":
		rest()
	case "open":
		_, err = l.open(cmd.Count)
	case "load":
		a.Outcome, err = l.load(cmd.Line, cmd.Time)
	default:
		err = errors.New("unknown command " + strconv.Quote(cmd.Verb))
	}
	if err != nil {
		a.Error, a.Not = err.Error(), errors.Is(err, errNot)
	}
	a.Stats = readStats()
	return a
}

// rest reduces memory to what an idle process keeps.
func rest() {
	for range 3 {
		debug.FreeOSMemory()
		time.Sleep(50 * time.Millisecond)
	}
}

// open opens sessions until there are n, and makes a call on each new one.
func (l *loader) open(n int) ([]session, error) {
	if l.dial == nil {
		return nil, errNot
	}
	for len(l.sessions) < n {
		s, err := l.dial(l.addr)
		if err != nil {
			return nil, err
		}
		l.sessions = append(l.sessions, s)
		if err := s.echo(callContext(line{}, s), make([]byte, 64)); err != nil {
			return nil, err
		}
	}
	return l.sessions[:n], nil
}

func (l *loader) close() {
	for _, s := range l.sessions {
		s.Close()
	}
}

// names returns the contenders of this build. A child on another system reports
// them to the orchestrator.
func names() []string {
	var out []string
	for _, c := range contenders {
		out = append(out, c.name)
	}
	return out
}
