package interop_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"testing"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Off Windows Kestrel refuses to listen on a pipe. Here every system has the
// same call, and the address says what it became.
func listenOnEverySystem(t *testing.T) {
	network := "unix"
	if runtime.GOOS == "windows" {
		network = "pipe"
	}
	if got := listen(t, testproc.PipeName()).Addr().Network(); got != network {
		t.Errorf("the address's network is %q, want %q", got, network)
	}
}

// Kestrel takes a transport of the program's own. A Go server takes any
// net.Listener, ours in a wrapper too.
func customListener(t *testing.T, e engine.Engine) {
	pipe := testproc.PipeName()
	lis := tap(t, pipe)
	s := e.NewTestServer(fastgrpc.ServerConfig{})
	t.Cleanup(s.Stop)
	go s.Serve(lis) // ends with Stop
	mustPing(t.Context(), t, newConn(t, e, pipe))
	if n := len(lis.seen()); n != 1 {
		t.Errorf("the wrapper saw %d connections", n)
	}
}

// serveHTTP serves a page that names its protocol, and echoes what is posted.
func serveHTTP(t testing.TB, lis net.Listener, certs *tls.Config) {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Protocols: protocols, TLSConfig: certs, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			io.Copy(w, r.Body) // the client sees what is missing
			return
		}
		fmt.Fprintf(w, "hello over %s", r.Proto)
	})}
	t.Cleanup(func() { s.Close() })
	if certs != nil {
		go s.ServeTLS(lis, "", "")
		return
	}
	go s.Serve(lis) // ends with Close
}

// httpClient speaks one version of HTTP over the pipe.
func httpClient(t testing.TB, dial func(context.Context) (net.Conn, error), http2 bool, certs *tls.Config) *http.Client {
	t.Helper()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!http2)
	protocols.SetHTTP2(http2 && certs != nil)
	protocols.SetUnencryptedHTTP2(http2 && certs == nil)
	transport := &http.Transport{
		Protocols: protocols, TLSClientConfig: certs,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func dialer(pipe string) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) { return namedpipe.Dial(ctx, pipe) }
}

// get fails unless the page comes over the protocol.
func get(t testing.TB, c *http.Client, url, proto string) {
	t.Helper()
	req, err := http.NewRequestWithContext(limited(t, minute), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "hello over "+proto {
		t.Errorf("got %q, %v, want %q", body, err, "hello over "+proto)
	}
}

func helloWorld(t *testing.T) {
	pipe := testproc.PipeName()
	serveHTTP(t, listen(t, pipe), nil)
	get(t, httpClient(t, dialer(pipe), false, nil), "http://localhost/", "HTTP/1.1")
}

// A client that grants Impersonation posts 1 MiB to a server that lets others
// in too, and the server knows whose the client is.
func impersonation(t *testing.T) {
	pipe := testproc.PipeName()
	lc := namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.CurrentUser | namedpipe.LocalUsers}}
	lis, err := lc.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	users := make(chan *namedpipe.Peer, 1)
	serveHTTP(t, peerListener{lis, users}, nil)
	d := namedpipe.Dialer{ImpersonationLevel: namedpipe.Impersonation}
	c := httpClient(t, func(ctx context.Context) (net.Conn, error) { return d.Dial(ctx, pipe) }, false, nil)
	want := bytes.Repeat([]byte("x"), 1<<20)
	res, err := c.Post("http://localhost/", "text/plain", bytes.NewReader(want))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(want), err)
	}
	if p := <-users; p == nil || !p.UserProven || !p.SameUser {
		t.Errorf("the server saw the client as %v", p)
	}
}

// A peerListener tells who has connected.
type peerListener struct {
	*namedpipe.Listener
	users chan *namedpipe.Peer
}

func (l peerListener) Accept() (net.Conn, error) {
	c, err := l.AcceptPipe()
	if err != nil {
		return nil, err
	}
	go func() { // for on Windows it waits for the client's first byte
		p, _ := c.Peer()
		l.users <- p
	}()
	return c, nil
}

// Two pipes of one server, each with an access of its own. That others are kept
// out and let in is proven in package namedpipe, by other users.
func accessOfEachListener(t *testing.T, e engine.Engine) {
	s := e.NewTestServer(fastgrpc.ServerConfig{})
	t.Cleanup(s.Stop)
	for _, who := range []namedpipe.Who{namedpipe.CurrentUser, namedpipe.CurrentUser | namedpipe.LocalUsers} {
		pipe := testproc.PipeName()
		lc := namedpipe.ListenConfig{Access: namedpipe.Access{Who: who}}
		lis, err := lc.Listen(t.Context(), pipe)
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(lis) // ends with Stop
		mustPing(t.Context(), t, newConn(t, e, pipe), grpc.WaitForReady(true))
	}
}

func protocolVersions(t *testing.T) {
	pipe := testproc.PipeName()
	serveHTTP(t, listen(t, pipe), nil)
	get(t, httpClient(t, dialer(pipe), false, nil), "http://localhost/", "HTTP/1.1")
	get(t, httpClient(t, dialer(pipe), true, nil), "http://localhost/", "HTTP/2.0")
}

func protocolVersionsTLS(t *testing.T) {
	pipe := testproc.PipeName()
	cert, err := tls.LoadX509KeyPair(testdata("cert.pem"), testdata("key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	serveHTTP(t, listen(t, pipe), &tls.Config{Certificates: []tls.Certificate{cert}})
	certs := &tls.Config{RootCAs: roots(t)}
	get(t, httpClient(t, dialer(pipe), false, certs.Clone()), "https://localhost/", "HTTP/1.1")
	get(t, httpClient(t, dialer(pipe), true, certs.Clone()), "https://localhost/", "HTTP/2.0")
}

// Kestrel's own spelling of a pipe is a target here as well.
func fromURL(t *testing.T, e engine.Engine) {
	pipe := testproc.PipeName()
	newServer(t, t.Context(), e, pipe)
	mustPing(t.Context(), t, newConn(t, e, "http://pipe:/"+pipe))
}
