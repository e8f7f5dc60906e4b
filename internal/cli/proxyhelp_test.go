package cli

import (
	"bytes"
	"context"
	"io"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// log is a standard error that can be waited for.
type log struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{}
}

func newLog() *log { return &log{changed: make(chan struct{})} }

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.text.Write(p)
}

func (l *log) wait(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	end := time.After(30 * time.Second)
	for {
		l.mu.Lock()
		text, changed := l.text.String(), l.changed
		l.mu.Unlock()
		if found := re.FindStringSubmatch(text); found != nil {
			return found
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("no %s in %s", pattern, text)
		}
	}
}

// A proxied is a running proxy.
type proxied struct {
	log  *log
	addr string // what it listens on, as an endpoint
	stop context.CancelFunc
	done chan error
}

// startProxy runs `proxy` until the test ends.
func startProxy(t *testing.T, from, to string, flags proxyFlags) *proxied {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &proxied{log: newLog(), stop: cancel, done: make(chan error, 1)}
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: p.log, output: "text", color: "never"}
	if flags.conn.connectTimeout == 0 {
		flags.conn.connectTimeout = 20 * time.Second
	}
	go func() { p.done <- a.proxy(ctx, flags, from, to) }()
	t.Cleanup(func() {
		cancel()
		select {
		case <-p.done:
		case <-time.After(30 * time.Second):
			t.Error("the proxy didn't end")
		}
	})
	p.addr = p.log.wait(t, `listening on (\S+),`)[1]
	return p
}

// newEnd makes an endpoint of a kind.
func newEnd(t *testing.T, kind string) string {
	t.Helper()
	switch kind {
	case "pipe":
		return testproc.PipeName()
	case "unix":
		return "unix:" + filepath.Join(shortDir(t), "s")
	}
	return "tcp:127.0.0.1:0"
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if len(dir) > 80 {
		t.Skip("the temporary folder's path is too long for a socket")
	}
	return dir
}

// listenAt listens on an endpoint as a server would, and returns the endpoint.
func listenAt(t *testing.T, kind string) (net.Listener, string) {
	t.Helper()
	end := newEnd(t, kind)
	var lis net.Listener
	var err error
	switch kind {
	case "pipe":
		lis, err = namedpipe.Listen(t.Context(), end)
	case "unix":
		lis, err = net.Listen("unix", strings.TrimPrefix(end, "unix:"))
	default:
		lis, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	if kind == "tcp" {
		end = "tcp:" + lis.Addr().String()
	}
	return lis, end
}

// dialEnd connects to an endpoint as a client would.
func dialEnd(ctx context.Context, end string) (net.Conn, error) {
	kind, addr, _ := strings.Cut(end, ":")
	if kind == "pipe" {
		return namedpipe.Dial(ctx, addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, kind, addr)
}
