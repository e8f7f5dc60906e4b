package relay

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

func TestMain(m *testing.M) { testproc.Main(m, nil) }

// Connections that can't be carried on end at the same time. Whatever Run keeps
// of them must not be written by all at once; the race detector is the judge.
func TestConnectionsThatFailTogether(t *testing.T) {
	t.Parallel()
	const n = 4
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := errors.New("nobody is there")
	var arrived, logged sync.WaitGroup
	arrived.Add(n)
	logged.Add(n)
	r := &Relay{
		Listener: l,
		Log:      func(int, string) { logged.Done() },
		Dial: func(context.Context) (net.Conn, error) {
			arrived.Done()
			arrived.Wait()
			return nil, nobody
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var total Totals
	done := make(chan error)
	go func() {
		var err error
		total, err = r.Run(ctx)
		done <- err
	}()
	for range n {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	logged.Wait()
	cancel()
	if err := <-done; err != nil || total.Connections != n || total.NotConnected != n {
		t.Errorf("%+v, %v", total, err)
	}
}

func TestOnceReturnsWhyItFailed(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := errors.New("nobody is there")
	r := &Relay{
		Listener: l, Once: true, Log: func(int, string) {},
		Dial: func(context.Context) (net.Conn, error) { return nil, nobody },
	}
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if total, err := r.Run(t.Context()); !errors.Is(err, nobody) || total.NotConnected != 1 {
		t.Errorf("%+v, %v", total, err)
	}
}
