package namedpipe_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestAddr(t *testing.T) {
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{})
	c, err := namedpipe.Dial(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	want, err := namedpipe.ResolveAddr(name)
	if err != nil {
		t.Fatal(err)
	}
	network := "unix"
	if runtime.GOOS == "windows" {
		network = "pipe"
		if want.String() != `\\.\pipe\`+name {
			t.Errorf("the path is %s", want)
		}
	}
	for what, a := range map[string]net.Addr{
		"listener": l.Addr(), "client local": c.LocalAddr(), "client remote": c.RemoteAddr(),
		"server local": s.LocalAddr(), "server remote": s.RemoteAddr(),
	} {
		if a.Network() != network || a.String() != want.String() {
			t.Errorf("%s: %s %s, want %s %s", what, a.Network(), a, network, want)
		}
	}
}

// TestConnectBeforeAccept: as with a socket's backlog, a client is connected
// and may write before the server gets to Accept.
func TestConnectBeforeAccept(t *testing.T) {
	l := listen(t, freshName(t), namedpipe.ListenConfig{Instances: 4})
	var clients []*namedpipe.Conn
	for i := range 4 {
		c, err := namedpipe.Dial(soon(t), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	seen := map[byte]bool{}
	for range clients {
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		b := make([]byte, 1)
		if _, err := io.ReadFull(s, b); err != nil {
			t.Fatal(err)
		}
		seen[b[0]] = true
	}
	if len(seen) != len(clients) {
		t.Errorf("accepted %v", seen)
	}
	if s := l.Stats(); s.Accepted != 4 || s.Open != 4 || s.Queued != 0 {
		t.Errorf("stats are %+v", s)
	}
}

// TestBacklogFull: more clients than there is room for wait in Dial, and each
// Accept lets some of them in, until all have been served.
func TestBacklogFull(t *testing.T) {
	const clients = 100
	l := listen(t, freshName(t), namedpipe.ListenConfig{Instances: 2})
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			c, err := namedpipe.Dial(soon(t), l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if _, err := io.ReadAll(c); err != nil {
				t.Error(err)
			}
		})
	}
	for range clients {
		l.SetDeadline(time.Now().Add(30 * time.Second))
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
	}
	wg.Wait()
}

func TestCloseUnblocksAccept(t *testing.T) {
	for range 50 {
		l := listen(t, freshName(t), namedpipe.ListenConfig{})
		accepted := make(chan error, 3)
		for range cap(accepted) {
			go func() {
				_, err := l.Accept()
				accepted <- err
			}()
		}
		var wg sync.WaitGroup
		var closes [3]error
		for i := range closes {
			wg.Go(func() { closes[i] = l.Close() })
		}
		wg.Wait()
		failed := 0
		for _, err := range closes {
			if err != nil {
				failed++
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Close: %v", err)
				}
			}
		}
		if failed != len(closes)-1 {
			t.Errorf("%d of %d calls of Close failed", failed, len(closes))
		}
		for range cap(accepted) {
			if err := <-accepted; !errors.Is(err, net.ErrClosed) {
				t.Errorf("Accept: %v", err)
			}
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		if err := l.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetDeadline after Close: %v", err)
		}
	}
}

// TestCloseCutsTheQueue: a client that was connected but never accepted reads
// the end, and the name is free at once.
func TestCloseCutsTheQueue(t *testing.T) {
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{Instances: 3})
	var clients []*namedpipe.Conn
	for range 3 {
		c, err := namedpipe.Dial(soon(t), name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range clients {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := c.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("Read: %d, %v", n, err)
		}
	}
	if s := l.Stats(); runtime.GOOS == "windows" && s.Refused["closed"] != 3 || s.Waiting != 0 {
		t.Errorf("stats are %+v", s)
	}
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	for _, c := range clients {
		c.Close()
	}
	listen(t, name, lc)
}

// TestCloseFreesTheName: connections outlive their listener, and on Windows, where
// they are instances of the pipe, they keep its name.
func TestCloseFreesTheName(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{})
	c, err := namedpipe.Dial(soon(t), name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	next, err := lc.Listen(t.Context(), name)
	if err == nil {
		next.Close()
	}
	if keeps := runtime.GOOS == "windows"; keeps != errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("Listen while a connection is open: %v", err)
	}
	go s.Write([]byte("x"))
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("the connection: %v", err)
	}
	s.Close()
	c.Close()
	listen(t, name, namedpipe.ListenConfig{})
}

func TestAcceptDeadline(t *testing.T) {
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	isTimeout := func(what string, err error) {
		t.Helper()
		var ne net.Error
		if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &ne) || !ne.Timeout() {
			t.Errorf("%s: %v", what, err)
		}
	}
	l.SetDeadline(time.Now().Add(-time.Second))
	_, err := l.Accept()
	isTimeout("past deadline", err)
	l.SetDeadline(time.Now().Add(20 * time.Millisecond))
	_, err = l.Accept()
	isTimeout("future deadline", err)

	// A deadline set meanwhile ends a pending Accept.
	l.SetDeadline(time.Time{})
	pending := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		pending <- err
	}()
	l.SetDeadline(time.Now())
	isTimeout("pending", <-pending)

	// And a listener that had one goes on.
	l.SetDeadline(time.Now().Add(time.Minute))
	c, err := namedpipe.Dial(soon(t), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestNameTaken(t *testing.T) {
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{})
	lc := namedpipe.ListenConfig{NameTakenTimeout: -1}
	if _, err := lc.Listen(t.Context(), name); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a taken name: %v", err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	lc.NameTakenTimeout = time.Minute
	if _, err := lc.Listen(ctx, name); !errors.Is(err, syscall.EADDRINUSE) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a taken name until the context ended: %v", err)
	}

	// The one who waits gets the name when it is free.
	got := make(chan error, 1)
	go func() {
		l, err := lc.Listen(soon(t), name)
		if err == nil {
			l.Close()
		}
		got <- err
	}()
	l.Close()
	if err := <-got; err != nil {
		t.Errorf("after the name was free: %v", err)
	}
}

// TestContextBoundsListenOnly: the end of the context doesn't touch the
// listener, nor the connection.
func TestContextBoundsListenOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l, err := namedpipe.Listen(ctx, freshName(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := namedpipe.Dial(ctx, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	cancel()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Write([]byte("x")); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Error(err)
	}
	if _, err := namedpipe.Listen(ctx, freshName(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("Listen under an ended context: %v", err)
	}
	if _, err := namedpipe.Dial(ctx, l.Addr().String()); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial under an ended context: %v", err)
	}
}

// TestComeAndGo: clients that connect and vanish never end Accept.
func TestComeAndGo(t *testing.T) {
	l := listen(t, freshName(t), namedpipe.ListenConfig{Instances: 2})
	const visitors, workers = 400, 4
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range visitors / workers {
				c, err := namedpipe.Dial(soon(t), l.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				c.Close()
			}
		})
	}
	served := make(chan int)
	go func() {
		n := 0
		for {
			s, err := l.Accept()
			if err != nil {
				served <- n
				return
			}
			if b, err := io.ReadAll(s); err != nil {
				t.Errorf("Read: %v", err)
			} else if len(b) > 0 {
				n++
			}
			s.Close()
		}
	}()
	wg.Wait()
	c, err := namedpipe.Dial(soon(t), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte("still here?"))
	c.Close()
	// Every visitor is accepted or counted as gone before the last one is.
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		s := l.Stats()
		if s.Accepted+s.Refused["gone"] >= visitors+1 && s.Open == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("stats are %+v", s)
		}
	}
	l.Close()
	if n := <-served; n != 1 {
		t.Errorf("%d clients sent something, want 1", n)
	}
}
