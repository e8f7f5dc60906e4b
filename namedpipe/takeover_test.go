package namedpipe_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	// A server that stands by for another one's name and never accepts.
	programs["stand by"] = func() {
		if _, err := taking.Listen(context.Background(), os.Args[1]); err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Println("ready")
		io.Copy(io.Discard, os.Stdin)
	}
	// A server that takes over, answers each client with its process id and
	// ends when it is replaced and all clients have gone.
	programs["take over"] = func() {
		l, err := taking.Listen(context.Background(), os.Args[1])
		if err != nil {
			fmt.Println("error:", err)
			return
		}
		fmt.Println("ready")
		answer(l, os.Getpid())
		l.Close()
	}
}

var taking = namedpipe.ListenConfig{TakeOver: true}

// answer answers each client with a number, then waits until it has gone. It
// returns why Accept has ended.
func answer(l *namedpipe.Listener, number int) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		wg.Go(func() {
			fmt.Fprintln(c, number)
			io.Copy(io.Discard, c)
			c.Close()
		})
	}
}

// whoAnswers dials and returns the connection with the number that the server
// sends.
func whoAnswers(t *testing.T, name string) (*namedpipe.Conn, int) {
	t.Helper()
	c, err := namedpipe.Dial(soon(t), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(20 * time.Second))
	var n int
	if _, err := fmt.Fscanln(c, &n); err != nil {
		t.Fatal(err)
	}
	return c, n
}

func whoAnswersOnce(t *testing.T, name string) int {
	t.Helper()
	c, n := whoAnswers(t, name)
	c.Close()
	return n
}

// wants dials and checks who answers.
func wants(t *testing.T, name string, number int) *namedpipe.Conn {
	t.Helper()
	c, n := whoAnswers(t, name)
	if n != number {
		t.Fatalf("answered by %d, want %d", n, number)
	}
	return c
}

// TestTakeOver: the name passes on at the new listener's first Accept and not
// before, from hand to hand, and is free in the end.
func TestTakeOver(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	var ended []chan error
	serve := func(l *namedpipe.Listener, number int) {
		e := make(chan error, 1)
		ended = append(ended, e)
		go func() { e <- answer(l, number) }()
	}
	first := listen(t, name, taking)
	serve(first, 1)
	var stay []*namedpipe.Conn
	for number := 2; number <= 5; number++ {
		stay = append(stay, wants(t, name, number-1))
		next := listen(t, name, taking)
		// Listen alone takes nothing.
		stay = append(stay, wants(t, name, number-1))
		serve(next, number)
		for inRow := 0; inRow < 20; { // until the old one answers no more
			c, n := whoAnswers(t, name)
			c.Close()
			if inRow++; n != number {
				inRow = 0
			}
		}
	}
	for i, c := range stay {
		// A connection outlives the turn of its listener.
		c.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d: %v", i, err)
		}
		c.Close()
	}
	for i, e := range ended[:len(ended)-1] {
		select {
		case err := <-e:
			if !errors.Is(err, namedpipe.ErrReplaced) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("listener %d has ended with %v", i+1, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("listener %d goes on", i+1)
		}
	}
	// Closing those that have passed the name on must not take it away.
	first.Close()
	wants(t, name, 5).Close()
}

// TestTakeOverLeavesTheNameFree: the last one frees the name, as Close does for
// any listener.
func TestTakeOverLeavesTheNameFree(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	old := listen(t, name, taking)
	next := listen(t, name, taking)
	go answer(next, 2)
	if err := answer(old, 1); !errors.Is(err, namedpipe.ErrReplaced) {
		t.Fatal(err)
	}
	old.Close()
	next.Close()
	if addr := next.Addr(); addr.Network() == "unix" {
		if _, err := os.Lstat(addr.String()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the socket's file is left: %v", err)
		}
	}
	if _, err := namedpipe.Dial(soon(t), name); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Dial: %v", err)
	}
	listen(t, name, namedpipe.ListenConfig{NameTakenTimeout: -1})
}

// TestTakeOverWaitsForTheLast: a connection that was accepted last has a moment
// for its first request before its server stops.
func TestTakeOverWaitsForTheLast(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	old := listen(t, name, taking)
	c, err := namedpipe.Dial(soon(t), name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := old.Accept()
	if err != nil {
		t.Fatal(err)
	}
	accepted := time.Now()
	s.Close()
	go answer(listen(t, name, taking), 2)
	_, err = old.Accept()
	if took := time.Since(accepted); !errors.Is(err, namedpipe.ErrReplaced) || took < 190*time.Millisecond {
		t.Errorf("after %v: %v", took, err)
	}
}

// TestTakeOverSettles: a server that stops upon ErrReplaced has taken charge of
// every connection before.
func TestTakeOverSettles(t *testing.T) {
	t.Parallel()
	for what, use := range map[string]func(*namedpipe.Conn){
		"SetDeadline": func(c *namedpipe.Conn) { c.SetDeadline(time.Now().Add(time.Minute)) },
		"Read":        func(c *namedpipe.Conn) { c.Read(nil) },
		"Close":       func(c *namedpipe.Conn) { c.Close() },
	} {
		name := freshName(t)
		old := listen(t, name, taking)
		c, err := namedpipe.Dial(soon(t), name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		unused, err := old.AcceptPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer unused.Close()
		ended := make(chan error, 2) // of two goroutines that accept
		for range cap(ended) {
			go func() { ended <- answer(old, 1) }()
		}
		go answer(listen(t, name, taking), 2)
		for n := 0; n != 2; {
			n = whoAnswersOnce(t, name)
		}
		select {
		case err := <-ended:
			t.Fatalf("%s: Accept has ended before the connection was used: %v", what, err)
		case <-time.After(50 * time.Millisecond):
		}
		start := time.Now()
		use(unused)
		for range cap(ended) {
			if err := <-ended; !errors.Is(err, namedpipe.ErrReplaced) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: Accept has ended only after %v", what, took)
		}
	}
}

// TestTakeOverFails: a process that dies or gives up before its first Accept
// leaves the old one serving, and the name to the next.
func TestTakeOverFails(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	l := listen(t, name, taking)
	ended := make(chan error, 1)
	go func() { ended <- answer(l, 1) }()
	helper(t, "stand by", name).Kill()
	wants(t, name, 1)
	listen(t, name, taking).Close()
	wants(t, name, 1)
	next := listen(t, name, taking)
	go answer(next, 2)
	select {
	case err := <-ended:
		t.Errorf("connections are open and answer has ended: %v", err)
	default:
	}
	for {
		c, n := whoAnswers(t, name)
		c.Close()
		if n == 2 {
			break
		}
	}
}

// TestTakeOverFromClosed: a server that stops while another stands by has passed
// its name on.
func TestTakeOverFromClosed(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	old := listen(t, name, taking)
	next := listen(t, name, taking)
	old.Close()
	go answer(next, 2)
	wants(t, name, 2)
	third := listen(t, name, taking)
	go answer(third, 3)
	next.Close()
	wants(t, name, 3)
}

func TestTakeOverErrors(t *testing.T) {
	t.Parallel()
	quick := taking
	quick.NameTakenTimeout = -1
	for _, test := range []struct {
		what   string
		have   []namedpipe.ListenConfig
		lc     namedpipe.ListenConfig
		errors []error
		says   string
	}{
		{"a server that doesn't pass its name on", []namedpipe.ListenConfig{{}}, quick, []error{syscall.EADDRINUSE}, "set ListenConfig.TakeOver in both"},
		{"one that doesn't ask", []namedpipe.ListenConfig{taking}, namedpipe.ListenConfig{NameTakenTimeout: -1}, []error{syscall.EADDRINUSE}, "another server"},
		{"another access", []namedpipe.ListenConfig{taking}, namedpipe.ListenConfig{TakeOver: true, Access: namedpipe.Access{Who: namedpipe.Everyone}}, []error{fs.ErrInvalid}, "use the same Access"},
		{"a third while the second stands by", []namedpipe.ListenConfig{taking, taking}, quick, []error{syscall.EADDRINUSE}, "is about to take the name over"},
		{"both words", nil, namedpipe.ListenConfig{TakeOver: true, Share: true}, []error{fs.ErrInvalid}, "exclude each other"},
	} {
		name := freshName(t)
		for _, lc := range test.have {
			listen(t, name, lc)
		}
		_, err := test.lc.Listen(t.Context(), name)
		for _, is := range test.errors {
			if !errors.Is(err, is) {
				t.Errorf("%s: %v", test.what, err)
			}
		}
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, which doesn't say %q", test.what, err, test.says)
		}
	}
}

// TestTakeOverUnderFire: servers replace each other under clients that connect
// without pause, each of which is answered.
func TestTakeOverUnderFire(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	old := helper(t, "take over", name)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	answered := map[int]int{}
	for range 8 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				c, err := namedpipe.Dial(soon(t), name)
				if err != nil {
					t.Errorf("Dial: %v", err)
					return
				}
				var n int
				if _, err := fmt.Fscanln(c, &n); err != nil {
					t.Errorf("no answer: %v", err)
				}
				c.Close()
				mu.Lock()
				answered[n]++
				mu.Unlock()
			}
		})
	}
	for range 10 {
		next := helper(t, "take over", name)
		if err := old.Wait(soon(t)); err != nil {
			t.Errorf("the old server: %v: %s", err, old.Stdout())
		}
		old = next
	}
	close(stop)
	wg.Wait()
	if len(answered) < 10 {
		t.Errorf("only %d servers have answered: %v", len(answered), answered)
	}
}
