package namedpipe_test

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Access.Check lets in the process that it names and cuts off any other before
// Accept returns it.
func TestCheckProcess(t *testing.T) {
	t.Parallel()
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { self.Release() })
	other := exec.Command(os.Args[0], "-test.run=^$")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Wait() }) // until then the number is its own
	for _, tt := range []struct {
		name string
		want *os.Process
		in   bool
	}{{"the process", self, true}, {"another", other.Process, false}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := freshName(t)
			lc := namedpipe.ListenConfig{
				Logger: slog.New(slog.DiscardHandler),
				Access: namedpipe.Access{Check: func(p *namedpipe.Peer) error {
					if !p.IsProcess(tt.want) {
						return errors.New("another process")
					}
					return nil
				}},
			}
			lis, err := lc.Listen(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			defer lis.Close()
			go func() {
				for {
					c, err := lis.Accept()
					if err != nil {
						return
					}
					io.WriteString(c, "x")
					c.Close()
				}
			}()
			c, err := namedpipe.Dial(t.Context(), name)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			got, err := io.ReadAll(c)
			if in := err == nil && string(got) == "x"; in != tt.in {
				t.Errorf("let in: %v (%q, %v), want %v", in, got, err, tt.in)
			}
			if refused := lis.Stats().Refused["access"]; (refused == 0) != tt.in {
				t.Errorf("%d clients were counted as refused", refused)
			}
		})
	}
}
