package namedpipe_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/loglimit"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// jsonLog collects the lines of a logger.
type jsonLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *jsonLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

type logLine struct {
	Msg, Pipe, Client, Error string
	Omitted                  int
}

func (l *jsonLog) lines(t *testing.T) (lines []logLine) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for text := range bytes.Lines(l.b.Bytes()) {
		var line logLine
		if err := json.Unmarshal(text, &line); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		lines = append(lines, line)
	}
	return lines
}

// A flood of refused clients gets a few lines, each with who and why. The next line
// counts those that were left out.
func TestRefusalsInLog(t *testing.T) {
	t.Parallel()
	var log jsonLog
	refused := 0
	l := listen(t, freshName(t), namedpipe.ListenConfig{
		Logger: slog.New(slog.NewJSONHandler(&log, nil)),
		Access: namedpipe.Access{Check: func(*namedpipe.Peer) error {
			refused++
			return fmt.Errorf("refusal %d", refused)
		}},
	})
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	wg.Go(func() {
		if c, err := l.Accept(); err == nil {
			t.Errorf("%v was accepted", c.RemoteAddr())
		}
	})
	visit := func() {
		t.Helper()
		c, err := namedpipe.Dial(soon(t), l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n, err := io.Copy(io.Discard, c); n != 0 {
			t.Fatalf("read %d bytes, %v", n, err)
		}
	}
	const flood = 5 * loglimit.Burst
	start := time.Now()
	for range flood {
		visit()
	}
	// Up to here, a line for each interval that has passed besides the burst.
	most := loglimit.Burst + 1 + int(time.Since(start)/loglimit.Interval)
	lines := log.lines(t)
	if len(lines) < loglimit.Burst || len(lines) > most || most >= flood {
		t.Fatalf("%d lines for %d clients, want %d to %d", len(lines), flood, loglimit.Burst, most)
	}
	who := fmt.Sprintf("process %d", os.Getpid())
	for i, line := range lines {
		if line.Msg != "namedpipe: a client was refused" || line.Pipe != l.Addr().String() || !strings.Contains(line.Client, who) ||
			i < loglimit.Burst && line.Error != fmt.Sprintf("refusal %d", i+1) {
			t.Errorf("a line is %+v", line)
		}
	}
	// The next line accounts for all that were refused before it.
	for before := len(lines); len(lines) == before; lines = log.lines(t) {
		visit()
	}
	told := len(lines)
	for _, line := range lines {
		told += line.Omitted
	}
	if last := lines[len(lines)-1].Error; last != fmt.Sprintf("refusal %d", told) {
		t.Errorf("the log accounts for %d clients, its last line is of %s", told, last)
	}
}

// checkUnidentified expects that the server can't find out who a client is that
// sends nothing, and that the log has a line about it.
func checkUnidentified(t *testing.T, client, why string) {
	t.Helper()
	var log jsonLog
	l := listen(t, freshName(t), namedpipe.ListenConfig{
		Logger: slog.New(slog.NewJSONHandler(&log, nil)), Access: namedpipe.Access{Who: namedpipe.Everyone},
	})
	c, err := (&namedpipe.Dialer{Server: namedpipe.Trust{Anyone: true}}).Dial(soon(t), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server, err := l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	for range 2 { // the second has the first's result
		if p, err := server.Peer(); err == nil {
			t.Fatalf("the client is %v", p)
		}
	}
	lines := log.lines(t)
	if len(lines) != 1 || lines[0].Msg != "namedpipe: a client could not be identified" || !strings.Contains(lines[0].Client, client) || !strings.Contains(lines[0].Error, why) {
		t.Errorf("the log is %+v", lines)
	}
}
