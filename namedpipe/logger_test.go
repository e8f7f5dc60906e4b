package namedpipe

import (
	"context"
	"crypto/rand"
	"log/slog"
	"os"
	"runtime"
	"testing"
	"time"
)

// closing is a log that closes the listener that writes to it.
type closing struct {
	slog.Handler
	l      chan *Listener
	closed chan error
}

func (h *closing) Enabled(context.Context, slog.Level) bool { return true }
func (h *closing) Handle(context.Context, slog.Record) error {
	h.closed <- (<-h.l).Close()
	return nil
}

// TestLoggerCloses: a logger may close the listener that it hears of.
func TestLoggerCloses(t *testing.T) {
	t.Parallel()
	h := &closing{l: make(chan *Listener, 1), closed: make(chan error, 1)}
	lc := ListenConfig{Logger: slog.New(h)}
	l, err := lc.Listen(t.Context(), "np-"+rand.Text())
	if err != nil {
		t.Fatal(err)
	}
	h.l <- l
	if runtime.GOOS != "windows" {
		if err := os.Remove(l.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		select {
		case err := <-h.closed:
			if err != nil {
				t.Errorf("Close: %v", err)
			}
			return
		default:
		}
		if ctx.Err() != nil {
			t.Fatal("nothing is logged, or Close still waits for the logger that has called it")
		}
		// On Windows a client that leaves at once is worth a line.
		if c, err := Dial(ctx, l.Addr().String()); err == nil {
			c.Close()
		}
	}
}
