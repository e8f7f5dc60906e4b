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
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

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
			dial := func(watch ...stats.Handler) (interoptest.Conn, error) {
				opts := []grpc.DialOption{grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dialEnd(ctx, p.addr) })}
				for _, h := range watch {
					opts = append(opts, grpc.WithStatsHandler(h))
				}
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
