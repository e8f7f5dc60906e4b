package cli

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/soak"
	"github.com/grpcpipe/grpcpipe/internal/testproc"
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
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: p.log, output: "text", colour: "never"}
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

// ends makes an endpoint of a kind.
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

// pairs are the kinds of ends that are tried: each kind on each side.
func pairs() [][2]string {
	all := [][2]string{{"pipe", "pipe"}, {"tcp", "pipe"}, {"pipe", "tcp"}}
	if runtime.GOOS != "windows" { // where Go's Unix sockets are another subject
		all = append(all, [2]string{"unix", "pipe"}, [2]string{"pipe", "unix"}, [2]string{"unix", "tcp"})
	}
	return all
}

// A gRPC client has all its cases through a proxy.
func TestSoakProxyInteropCases(t *testing.T) {
	for i, pair := range pairs() {
		t.Run(pair[0]+" to "+pair[1], func(t *testing.T) {
			lis, end := listenAt(t, pair[1])
			s := interoptest.NewServer(grpcpipe.ServerOptions()...)
			go s.Serve(lis)
			t.Cleanup(s.Stop)
			p := startProxy(t, newEnd(t, pair[0]), end, proxyFlags{})
			dial := func(opts ...grpc.DialOption) (*grpc.ClientConn, error) {
				opts = append([]grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dialEnd(ctx, p.addr) })}, opts...)
				return grpcpipe.NewClient("proxied", opts...)
			}
			conn, err := dial()
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			target := interoptest.Target{Conn: conn, Dial: dial, Iterations: soak.N(1000)}
			if i == 0 || soak.Full() {
				passed := interoptest.Test(t, target, nil)
				soak.Report(t, "gRPC client through a proxy, "+pair[0]+" to "+pair[1], fmt.Sprintf("%d cases", len(interoptest.Cases())), fmt.Sprintf("%d passed", passed))
				return
			}
			for _, c := range interoptest.Cases() {
				switch c.Name {
				case "greeter", "large_unary", "ping_pong", "metadata_8KiB", "cancel_after_begin":
					if err := c.Run(t.Context(), target); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
}

// Much data comes out as it went in, in both directions at once.
func TestSoakProxyData(t *testing.T) {
	total := int64(soak.N(1 << 30))
	for _, pair := range pairs() {
		t.Run(pair[0]+" to "+pair[1], func(t *testing.T) {
			lis, end := listenAt(t, pair[1])
			p := startProxy(t, newEnd(t, pair[0]), end, proxyFlags{})
			began := time.Now()
			client, err := dialEnd(t.Context(), p.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			server, err := lis.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			end5 := time.Now().Add(5 * time.Minute)
			client.SetDeadline(end5)
			server.SetDeadline(end5)
			var sums [4]hash.Hash
			for i := range sums {
				sums[i] = sha256.New()
			}
			errs := make(chan error, 4)
			for i, c := range []net.Conn{client, server} {
				go func() { errs <- feed(io.MultiWriter(c, sums[i]), total) }()
				go func() { errs <- drain(sums[2+i], c, total) }()
			}
			for range 4 {
				if err := <-errs; err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(sums[0].Sum(nil), sums[3].Sum(nil)) || !bytes.Equal(sums[1].Sum(nil), sums[2].Sum(nil)) {
				t.Error("what came out is not what went in")
			}
			soak.Report(t, "proxy "+pair[0]+" to "+pair[1], fmt.Sprintf("%d MiB in each direction", total>>20),
				fmt.Sprintf("equal checksums, %.0f MiB/s", 2*float64(total>>20)/time.Since(began).Seconds()))
		})
	}
}

// feed writes n bytes that nobody could guess.
func feed(w io.Writer, n int64) error {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	_, err := io.CopyBuffer(w, io.LimitReader(rand.NewChaCha8(seed), n), make([]byte, 256<<10))
	return err
}

func drain(w io.Writer, r io.Reader, n int64) error {
	_, err := io.CopyBuffer(w, io.LimitReader(r, n), make([]byte, 256<<10))
	return err
}

// A thousand clients at once get their own answers.
func TestSoakProxyConnections(t *testing.T) {
	const clients = 1000
	lis, end := listenAt(t, "pipe")
	go func() {
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			go func() {
				io.Copy(c, c)
				c.Close()
			}()
		}
	}()
	p := startProxy(t, newEnd(t, "pipe"), end, proxyFlags{})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	all := make(chan struct{}) // closed when everybody is connected
	var connected sync.WaitGroup
	errs := make(chan error, clients)
	connected.Add(clients)
	for i := range clients {
		go func() {
			errs <- func() error {
				c, err := dialEnd(ctx, p.addr)
				connected.Done()
				if err != nil {
					return err
				}
				defer c.Close()
				select {
				case <-all:
				case <-ctx.Done():
					return ctx.Err()
				}
				c.SetDeadline(time.Now().Add(2 * time.Minute))
				text := fmt.Sprintf("client %04d", i)
				if _, err := io.WriteString(c, text); err != nil {
					return err
				}
				got := make([]byte, len(text))
				if _, err := io.ReadFull(c, got); err != nil {
					return err
				}
				if string(got) != text {
					return fmt.Errorf("got %q, want %q", got, text)
				}
				return nil
			}()
		}()
	}
	connected.Wait()
	close(all)
	failed := 0
	for range clients {
		if err := <-errs; err != nil {
			failed++
			t.Error(err)
		}
	}
	soak.Report(t, "proxy, connections at once", fmt.Sprint(clients), fmt.Sprintf("%d served", clients-failed))
}

// When one end dies the other learns it.
func TestProxyPassesTheEndOn(t *testing.T) {
	for _, pair := range pairs() {
		for _, dies := range []string{"client", "server"} {
			t.Run(pair[0]+" to "+pair[1]+", "+dies, func(t *testing.T) {
				lis, end := listenAt(t, pair[1])
				p := startProxy(t, newEnd(t, pair[0]), end, proxyFlags{})
				client, err := dialEnd(t.Context(), p.addr)
				if err != nil {
					t.Fatal(err)
				}
				defer client.Close()
				server, err := lis.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer server.Close()
				dying, other := client, server
				if dies == "server" {
					dying, other = server, client
				}
				if _, err := io.WriteString(dying, "last words"); err != nil {
					t.Fatal(err)
				}
				dying.Close()
				other.SetDeadline(time.Now().Add(20 * time.Second))
				got, err := io.ReadAll(other)
				if string(got) != "last words" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
	}
}

// One side's end is passed on alone where both ends can have that.
func TestProxyKeepsHalfClose(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("for two TCP ends the rule is the same; Unix sockets on Windows are another subject")
	}
	lis, end := listenAt(t, "unix")
	p := startProxy(t, "tcp:127.0.0.1:0", end, proxyFlags{})
	client, err := dialEnd(t.Context(), p.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	io.WriteString(client, "question")
	client.(*net.TCPConn).CloseWrite()
	server.SetDeadline(time.Now().Add(20 * time.Second))
	if got, err := io.ReadAll(server); string(got) != "question" || err != nil {
		t.Fatalf("the server got %q, %v", got, err)
	}
	io.WriteString(server, "answer")
	server.Close()
	client.SetDeadline(time.Now().Add(20 * time.Second))
	if got, err := io.ReadAll(client); string(got) != "answer" || err != nil {
		t.Errorf("the client got %q, %v", got, err)
	}
}

// Ctrl-C lets connections end by themselves, but not for ever.
func TestProxyDrains(t *testing.T) {
	lis, end := listenAt(t, "pipe")
	for _, wait := range []time.Duration{0, time.Minute} {
		p := startProxy(t, newEnd(t, "pipe"), end, proxyFlags{drain: wait})
		client, err := dialEnd(t.Context(), p.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := lis.Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.stop()
		client.SetDeadline(time.Now().Add(20 * time.Second))
		if wait == 0 {
			if _, err := client.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("a connection that is cut reads %v", err)
			}
		} else {
			go io.WriteString(server, "still here")
			got := make([]byte, 10)
			if _, err := io.ReadFull(client, got); err != nil {
				t.Errorf("a connection that is drained reads %v", err)
			}
		}
		server.Close()
		client.Close()
		if err := <-p.done; err != nil {
			t.Error(err)
		}
		p.done <- nil // for the clean-up
		if _, err := dialEnd(t.Context(), p.addr); err == nil {
			t.Error("it still listens")
		}
	}
}

// A pipe that is busy for a while is waited for.
func TestProxyWaitsForBusyPipe(t *testing.T) {
	name := testproc.PipeName()
	p := startProxy(t, newEnd(t, "pipe"), name, proxyFlags{conn: connFlags{connectTimeout: 200 * time.Millisecond}})
	client, err := dialEnd(t.Context(), p.addr)
	if err != nil {
		t.Fatal(err)
	}
	client.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := client.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("without a server a client reads %v", err)
	}
	client.Close()
	p.log.wait(t, "connection 1: .*there is no such pipe")
}

// TLS goes through as it is.
func TestProxyCarriesTLS(t *testing.T) {
	cert, err := tls.LoadX509KeyPair("../../interop/testdata/cert.pem", "../../interop/testdata/key.pem")
	if err != nil {
		t.Fatal(err)
	}
	lis, end := listenAt(t, "pipe")
	s := interoptest.NewServer(append(grpcpipe.ServerOptions(), grpc.Creds(credentials.NewServerTLSFromCert(&cert)))...)
	go s.Serve(lis)
	t.Cleanup(s.Stop)
	from := testproc.PipeName()
	startProxy(t, from, end, proxyFlags{})
	var stdout, stderr bytes.Buffer
	args := []string{"call", from, "greet.Greeter/SayHello", "-d", `{"name":"tls"}`, "--cacert", "../../interop/testdata/cert.pem"}
	if exit := Main(args, strings.NewReader(""), &stdout, &stderr); exit != exitOK || !strings.Contains(stdout.String(), "Hello tls") {
		t.Errorf("%d %s %s", exit, &stdout, &stderr)
	}
}
