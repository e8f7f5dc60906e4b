//go:build unix

package creds

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc/mem"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// settingsFrame is how a gRPC server begins.
const settingsFrame = "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"

// A countingPool counts the buffers that are out.
type countingPool struct {
	out  atomic.Int64
	pool mem.BufferPool
}

func (p *countingPool) Get(n int) *[]byte { p.out.Add(1); return p.pool.Get(n) }
func (p *countingPool) Put(b *[]byte)     { p.out.Add(-1); p.pool.Put(b) }

func newCountingPool() *countingPool { return &countingPool{pool: mem.DefaultBufferPool()} }

type onReady interface {
	net.Conn
	ReadOnReady(int, mem.BufferPool) (*[]byte, int, error)
}

// ends returns the two ends of a pipe as grpc sees them.
func ends(t testing.TB) (client, server onReady) {
	t.Helper()
	name := "gptest-" + rand.Text()[:12]
	l, err := namedpipe.Listen(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	c, err := namedpipe.Dial(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); s.Close(); l.Close() })
	return NewClientConn(context.Background(), c, false, true).(onReady), newServerConn(s).(onReady)
}

func TestReadOnReady(t *testing.T) {
	t.Parallel()
	client, server := ends(t)
	pool := newCountingPool()
	read := func(c onReady, want string) {
		t.Helper()
		b, n, err := c.ReadOnReady(100, pool)
		if err != nil || len(*b) < n || string((*b)[:n]) != want {
			t.Fatalf("got %d bytes, %v, want %q", n, err, want)
		}
		pool.Put(b)
	}
	io.WriteString(client, "PRI hello")
	read(server, "PRI hello")
	io.WriteString(server, settingsFrame)
	read(client, settingsFrame)

	// While a reader waits no buffer is out.
	var waiting sync.WaitGroup
	waiting.Go(func() { read(server, "later") })
	for testproc.Goroutines("[IO wait", "."+t.Name()+".") == 0 {
		runtime.Gosched()
	}
	if n := pool.out.Load(); n != 0 {
		t.Errorf("%d buffers are held while nothing comes", n)
	}
	io.WriteString(client, "later")
	waiting.Wait()

	server.Close()
	if _, _, err := client.ReadOnReady(100, pool); err != io.EOF {
		t.Errorf("after the other end closed: %v", err)
	}
	client.Close()
	_, _, err := client.ReadOnReady(100, pool)
	if !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), client.RemoteAddr().String()) {
		t.Errorf("after close: %v", err)
	}
	if n := pool.out.Load(); n != 0 {
		t.Errorf("%d buffers are lost", n)
	}
}

func TestReadOnReadyFault(t *testing.T) {
	t.Parallel()
	client, server := ends(t)
	pool := newCountingPool()
	io.WriteString(client, "PRI * HTTP/2.0")
	io.WriteString(server, "220 mail ready\r\n")
	_, _, err := client.ReadOnReady(100, pool)
	var op *net.OpError
	if !errors.As(err, &op) || op.Addr == nil || !strings.Contains(err.Error(), "220 mail ready") {
		t.Errorf("got %v", err)
	}
	if n := pool.out.Load(); n != 0 {
		t.Errorf("%d buffers are lost", n)
	}
}

// The end of a connection that was cut with data unread is an EOF, as for Read.
func TestReadOnReadyReset(t *testing.T) {
	t.Parallel()
	client, server := ends(t)
	io.WriteString(server, "x")
	io.WriteString(client, "y")
	server.Close() // with y unread
	pool := newCountingPool()
	if b, n, err := client.ReadOnReady(100, pool); err == nil {
		if string((*b)[:n]) != "x" {
			t.Errorf("got %q", (*b)[:n])
		}
		_, _, err = client.ReadOnReady(100, pool)
		if err != io.EOF {
			t.Errorf("got %v", err)
		}
	} else if err != io.EOF && !strings.Contains(err.Error(), "closed the connection") {
		t.Errorf("got %v", err)
	}
}

func TestReadOnReadyDeadline(t *testing.T) {
	t.Parallel()
	_, server := ends(t)
	server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, _, err := server.ReadOnReady(100, newCountingPool())
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v", err)
	}
	if errors.Is(err, syscall.EAGAIN) {
		t.Error(err)
	}
}

// allocs is how many allocations a message from one end to the other makes.
func allocs(t *testing.T, from net.Conn, to onReady) float64 {
	pool := mem.DefaultBufferPool()
	msg := []byte(settingsFrame)
	return testing.AllocsPerRun(500, func() {
		if _, err := from.Write(msg); err != nil {
			t.Fatal(err)
		}
		b, _, err := to.ReadOnReady(32<<10, pool)
		if err != nil {
			t.Fatal(err)
		}
		pool.Put(b)
	})
}

func TestReadOnReadyAllocatesNothing(t *testing.T) {
	client, server := ends(t)
	io.WriteString(client, "PRI ")
	server.ReadOnReady(100, mem.DefaultBufferPool())
	if n := allocs(t, client, server); n != 0 {
		t.Errorf("%v allocations for a write and a read at the server", n)
	}
	if n := allocs(t, server, client); n != 0 {
		t.Errorf("%v allocations for a write and a read at the client", n)
	}
}

func BenchmarkReadOnReady(b *testing.B) {
	client, server := ends(b)
	pool := mem.DefaultBufferPool()
	msg := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		client.Write(msg)
		buf, _, err := server.ReadOnReady(32<<10, pool)
		if err != nil {
			b.Fatal(err)
		}
		pool.Put(buf)
	}
}

func BenchmarkRead(b *testing.B) {
	client, server := ends(b)
	msg, buf := make([]byte, 64), make([]byte, 32<<10)
	b.ReportAllocs()
	for b.Loop() {
		client.Write(msg)
		if _, err := server.Read(buf); err != nil {
			b.Fatal(err)
		}
	}
}
