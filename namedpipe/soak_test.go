package namedpipe_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestSoakRounds: listening, dialling and closing leaves nothing behind.
func TestSoakRounds(t *testing.T) {
	rounds := soak.N(5000)
	round := func() {
		l, err := namedpipe.Listen(t.Context(), freshNameOnly())
		if err != nil {
			t.Fatal(err)
		}
		accepted := make(chan net.Conn, 1)
		go func() {
			s, _ := l.Accept()
			accepted <- s
		}()
		c, err := namedpipe.Dial(t.Context(), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s := <-accepted
		if s == nil {
			t.Fatal("not accepted")
		}
		go s.Write([]byte("x"))
		if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		for _, what := range []io.Closer{c, s, l} {
			if err := what.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 20 {
		round() // what the runtime makes once, such as threads, is there by now
	}
	before, handles := goleak.IgnoreCurrent(), openHandles(t)
	start := time.Now()
	for range rounds {
		round()
	}
	took := time.Since(start)
	if err := testproc.Leaks(before); err != nil {
		t.Error(err)
	}
	// A thread of the runtime costs a few handles on Windows; a leak would cost
	// one a round.
	nowHandles := openHandles(t)
	if nowHandles > handles+min(rounds/10, 30) {
		t.Errorf("%d handles before, %d after", handles, nowHandles)
	}
	soak.Report(t, fmt.Sprintf("%d rounds of listen, dial, close", rounds), "goroutines, handles and files back to the start",
		fmt.Sprintf("no goroutine left, handles %d -> %d, %v a round", handles, nowHandles, (took/time.Duration(rounds)).Round(time.Microsecond)))
}

func freshNameOnly() string { return fmt.Sprintf("np-%x", time.Now().UnixNano()) }

// TestSoakCrowd: 1 000 clients dial at once and make one call each, while
// Accept stops for a second in the middle.
func TestSoakCrowd(t *testing.T) {
	clients := soak.N(1000)
	goal := 10 * time.Second
	if runtime.GOOS == "windows" {
		goal = 30 * time.Second
	}
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	go func() {
		for i := 0; ; i++ {
			if i == clients/2 {
				<-time.After(time.Second) // a server that is busy for a while
			}
			s, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer s.Close()
				io.Copy(s, s)
			}()
		}
	}()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		dials []time.Duration
		gate  = make(chan struct{})
	)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for range clients {
		wg.Go(func() {
			<-gate
			start := time.Now()
			c, err := namedpipe.Dial(ctx, l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			took := time.Since(start)
			buf := []byte("hello")
			if _, err := c.Write(buf); err != nil {
				t.Error(err)
			}
			if _, err := io.ReadFull(c, buf); err != nil {
				t.Error(err)
			}
			mu.Lock()
			dials = append(dials, took)
			mu.Unlock()
		})
	}
	start := time.Now()
	close(gate)
	wg.Wait()
	took := time.Since(start)
	if took > goal {
		t.Errorf("took %v, want %v", took, goal)
	}
	if len(dials) == 0 {
		return
	}
	slices.Sort(dials)
	soak.Report(t, fmt.Sprintf("%d clients dial at once, Accept paused 1 s", clients), fmt.Sprintf("all done in %v", goal),
		fmt.Sprintf("%v; dial median %v, p99 %v", took.Round(time.Millisecond), dials[len(dials)/2].Round(time.Millisecond), dials[len(dials)*99/100].Round(time.Millisecond)))
}

// TestSoakManyOpen: many connections open on one listener, each of them alive.
// The clients are in another process, so that no limit of files is met twice.
func TestSoakManyOpen(t *testing.T) {
	want := soak.N(10_000)
	goal := fmt.Sprint(want)
	if isWine() {
		goal = "as many as Wine bears"
	}
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	clients := helper(t, "hold", l.Addr().String(), fmt.Sprint(want))
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range want {
		l.SetDeadline(time.Now().Add(30 * time.Second))
		s, err := l.Accept()
		if err != nil {
			t.Errorf("connection %d: %v", i, err)
			break
		}
		conns = append(conns, s)
	}
	for i, c := range conns {
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		if _, err := c.Write(b); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	if s := l.Stats(); s.Open != len(conns) {
		t.Errorf("stats are %+v", s)
	}
	if err := clients.Wait(soon(t)); err != nil || clients.Stdout() != "ready\nall answered" {
		t.Errorf("the clients say: %s, %v", clients.Stdout(), err)
	}
	soak.Report(t, "connections open on one listener", goal, fmt.Sprint(len(conns)))
}
