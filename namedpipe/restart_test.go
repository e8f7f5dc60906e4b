package namedpipe_test

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestWaitForServer(t *testing.T) {
	name := freshName(t)
	d := namedpipe.Dialer{WaitForServer: true}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := d.Dial(ctx, name); !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no server ever: %v", err)
	}
	dialed := make(chan error, 1)
	go func() {
		c, err := d.Dial(soon(t), name)
		if err == nil {
			c.Close()
		}
		dialed <- err
	}()
	listen(t, name, namedpipe.ListenConfig{})
	if err := <-dialed; err != nil {
		t.Error(err)
	}
}

// TestRestartUnderClients: a server that dies under 50 clients can be followed
// by another at once, though on Windows the clients hold the name.
func TestRestartUnderClients(t *testing.T) {
	name := freshName(t)
	old := helper(t, "serve", name)
	var clients []*namedpipe.Conn
	for range 50 {
		c, err := namedpipe.Dial(soon(t), name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		clients = append(clients, c)
	}
	old.Kill()
	var wg sync.WaitGroup
	for _, c := range clients {
		wg.Go(func() { // a client notices, as gRPC's would, and closes its end
			c.Read(make([]byte, 1))
			c.Close()
		})
	}
	l := listen(t, name, namedpipe.ListenConfig{})
	wg.Wait()
	c, err := namedpipe.Dial(soon(t), name)
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
