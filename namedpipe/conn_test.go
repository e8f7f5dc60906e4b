package namedpipe_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestDataOutlivesClose: what was written before Close is read to the last
// byte, in both directions.
func TestDataOutlivesClose(t *testing.T) {
	want := make([]byte, 16<<10) // fits every buffer, so Write doesn't wait for the reader
	rand.NewChaCha8([32]byte{1}).Read(want)
	for _, fromServer := range []bool{true, false} {
		writer, reader := pair(t)
		if !fromServer {
			writer, reader = reader, writer
		}
		if _, err := writer.Write(want); err != nil {
			t.Fatal(err)
		}
		if err := writer.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(reader); err != nil || !bytes.Equal(got, want) {
			t.Errorf("from server %v: read %d bytes, %v; want %d", fromServer, len(got), err, len(want))
		}
	}
}

func TestZeroBytes(t *testing.T) {
	s, c := pair(t)
	if n, err := c.Write(nil); n != 0 || err != nil {
		t.Errorf("Write: %d, %v", n, err)
	}
	if n, err := s.Read(nil); n != 0 || err != nil {
		t.Errorf("Read: %d, %v", n, err)
	}
	// Nothing reached the other end: there is nothing to read, not even an end.
	s.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if n, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read after an empty Write: %d, %v", n, err)
	}
}

func TestWriteToClosed(t *testing.T) {
	s, c := pair(t)
	s.Close()
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("Read: %v", err)
	}
	_, err := c.Write([]byte("x"))
	if !errors.Is(err, syscall.EPIPE) {
		t.Errorf("Write: %v", err)
	}
}

func TestCloseUnblocks(t *testing.T) {
	s, c := pair(t)
	var wg sync.WaitGroup
	started := make(chan struct{}, 2)
	wg.Go(func() {
		started <- struct{}{}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read: %v", err)
		}
	})
	wg.Go(func() {
		started <- struct{}{}
		if _, err := c.Write(make([]byte, 64<<20)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Write: %v", err)
		}
	})
	<-started
	<-started
	// Some of the big Write has arrived, so it is under way and now waits.
	if _, err := io.ReadFull(s, make([]byte, 1024)); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait()
	if err := c.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

func TestSyscallConn(t *testing.T) {
	_, c := pair(t)
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	called := false
	if err := rc.Control(func(fd uintptr) { called = true }); err != nil || !called {
		t.Errorf("Control: called %v, %v", called, err)
	}
	if runtime.GOOS == "windows" {
		if err := rc.Read(func(uintptr) bool { return true }); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("Read: %v", err)
		}
	}
}

// TestAllocations: Read, Write and deadlines allocate nothing at either end.
func TestAllocations(t *testing.T) {
	s, c := pair(t)
	for what, ends := range map[string][2]*namedpipe.Conn{"client to server": {c, s}, "server to client": {s, c}} {
		buf := make([]byte, 64)
		n := testing.AllocsPerRun(soak.N(1000), func() {
			if _, err := ends[0].Write(buf); err != nil {
				t.Fatal(err)
			}
			if _, err := ends[1].Read(buf); err != nil {
				t.Fatal(err)
			}
			ends[1].SetReadDeadline(time.Time{})
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
}

func TestSoakAllocations(t *testing.T) {
	TestAllocations(t)
	soak.Report(t, "allocations per Read and Write, client and server", "0", "0")
}

func TestSoakCloseThenRead(t *testing.T) {
	const size = 1 << 20
	want := make([]byte, size)
	rand.NewChaCha8([32]byte{2}).Read(want)
	l := listen(t, freshName(t), namedpipe.ListenConfig{BufferSize: size})
	rounds := soak.N(100)
	for range rounds {
		c, err := namedpipe.Dial(soon(t), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		written := make(chan error, 1)
		go func() {
			_, err := s.Write(want)
			written <- errors.Join(err, s.Close())
		}()
		// On Windows a buffer of 1 MiB takes it all before anybody reads; a Unix
		// socket's takes less, so there the reading must begin.
		if runtime.GOOS == "windows" {
			if err := <-written; err != nil {
				t.Fatal(err)
			}
		}
		got, err := io.ReadAll(c)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("read %d bytes, %v", len(got), err)
		}
		if runtime.GOOS != "windows" {
			if err := <-written; err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
	}
	soak.Report(t, "server writes 1 MiB and closes; client reads later", "every byte, then EOF", "every byte, then EOF")
}

// TestSoakBothWays writes at both ends at once, with buffers of several sizes:
// neither may wait for the other for ever.
func TestSoakBothWays(t *testing.T) {
	size := soak.N(64 << 20)
	for _, buffer := range []int{1, 0, 1 << 20} {
		start := time.Now()
		n := size
		if buffer == 1 {
			n = size / 64 // a byte of quota: each Write waits for its reader
		}
		l := listen(t, freshName(t), namedpipe.ListenConfig{BufferSize: buffer})
		c, err := namedpipe.Dial(soon(t), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		both := func(a, b net.Conn, seed byte) (sent, got hash.Hash, run func() error) {
			sent, got = sha256.New(), sha256.New()
			return sent, got, func() error {
				src := io.LimitReader(rand.NewChaCha8([32]byte{seed}), int64(n))
				done := make(chan error, 1)
				go func() {
					_, err := io.CopyN(got, b, int64(n))
					done <- err
				}()
				_, err := io.Copy(struct{ io.Writer }{io.MultiWriter(a, sent)}, struct{ io.Reader }{src})
				return errors.Join(err, <-done)
			}
		}
		sent1, got1, run1 := both(c, s, 3)
		sent2, got2, run2 := both(s, c, 4)
		result := make(chan error, 2)
		go func() { result <- run1() }()
		go func() { result <- run2() }()
		for range 2 {
			select {
			case err := <-result:
				if err != nil {
					t.Fatal(err)
				}
			case <-time.After(2 * time.Minute):
				t.Fatal("dead-lock")
			}
		}
		if !bytes.Equal(sent1.Sum(nil), got1.Sum(nil)) || !bytes.Equal(sent2.Sum(nil), got2.Sum(nil)) {
			t.Errorf("buffer %d: what was read is not what was written", buffer)
		}
		t.Logf("buffer %d: %d bytes each way in %v", buffer, n, time.Since(start))
		c.Close()
		s.Close()
	}
	soak.Report(t, "both ends write 64 MiB at once", "no dead-lock, checksums equal", "checksums equal")
}

// TestDialCanceled: neither the context nor its end leaks anything.
func TestDialCanceled(t *testing.T) {
	l := listen(t, freshName(t), namedpipe.ListenConfig{Instances: 1})
	before := openHandles(t)
	for i := range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		go cancel()
		c, err := namedpipe.Dial(ctx, l.Addr().String())
		switch {
		case err == nil:
			c.Close()
			s, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			s.Close()
		case !errors.Is(err, context.Canceled):
			t.Fatalf("round %d: %v", i, err)
		default:
			// The connection may have been made before the end was seen.
			l.SetDeadline(time.Now().Add(time.Millisecond))
			if s, err := l.Accept(); err == nil {
				s.Close()
			}
			l.SetDeadline(time.Time{})
		}
	}
	if after := openHandles(t); after > before+10 {
		t.Errorf("%d handles before, %d after", before, after)
	}
}
