//go:build unix

package h2

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSocketWriteStall: a write to a socket that nobody reads is given up.
func TestSocketWriteStall(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	c, err := net.Dial("unix", lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	car := NewCarrier(c)
	if !car.Tries() {
		t.Fatal("a socket's carrier can't try")
	}
	written := make(chan error, 1)
	go func() { written <- car.Write([][]byte{make([]byte, 64<<20)}, 50*time.Millisecond) }()
	select {
	case err := <-written:
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the write ended with %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the write goes on")
	}
}
