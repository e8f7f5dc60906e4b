package grpcpipe_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
)

// quickly makes a silent server be given up on after half a second.
var quickly = fastgrpc.ClientConfig{ConnectTimeout: 500 * time.Millisecond}

// tlsPair returns credentials for a server whose certificate is for the name, and
// for a client that trusts the certificate.
func tlsPair(t testing.TB, name string) (server, client credentials.TransportCredentials) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return credentials.NewServerTLSFromCert(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}),
		credentials.NewClientTLSFromCert(roots, "")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	server, creds := tlsPair(t, "localhost")
	serve(t, name, fastgrpc.ServerConfig{Credentials: server})
	for _, target := range []string{"https://pipe:/" + name, "npipe:" + name, name} {
		cc := dial(t, target, fastgrpc.ClientConfig{Credentials: creds})
		if reply := mustCall(testContext(t), t, cc); reply.Username != "localhost" {
			t.Errorf("%s: the authority is %q", target, reply.Username)
		}
	}
}

// The name localhost stands for the server of a pipe, and for nobody else: under
// TLS a host must show a certificate of its own.
func TestTLSVerifiesTheHost(t *testing.T) {
	t.Parallel()
	const host = "vm.example"
	for _, cert := range []string{"localhost", host} {
		server, creds := tlsPair(t, cert)
		name := pipeName(t)
		s := serve(t, name, fastgrpc.ServerConfig{Credentials: server})
		lis, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(lis)
		dial := grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", lis.Addr().String())
		})
		for target, opts := range map[string][]grpc.DialOption{
			"https://pipe:/" + name:              nil,
			"passthrough:///" + host + ":7437":   {dial},
			"passthrough:///" + "localhost:7437": {dial},
		} {
			t.Run(cert+" at "+target, func(t *testing.T) {
				cc := client(t, target, append(opts, grpc.WithTransportCredentials(creds))...)
				_, err := call(testContext(t), cc)
				if fits := strings.Contains(target, host) == (cert == host); !fits {
					wantText(t, err, "certificate is valid for "+cert)
				} else if err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// The faults of a peer must be told to whoever made the call, whether the call
// waits for a server or not.
func TestStrangePeers(t *testing.T) {
	t.Parallel()
	serverTLS, clientTLS := tlsPair(t, "localhost")
	withTLS := fastgrpc.ClientConfig{Credentials: clientTLS}
	quicklyTLS := quickly
	quicklyTLS.Credentials = clientTLS
	send := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			io.ReadFull(c, make([]byte, 10))
			io.WriteString(c, s)
			io.Copy(io.Discard, c)
		}
	}
	for _, tt := range []struct {
		what  string
		serve func(net.Conn)
		cfg   fastgrpc.ClientConfig
		want  []string
	}{
		{"silent", func(c net.Conn) { io.Copy(io.Discard, c) }, quickly, []string{"accepted the connection but sent nothing in 500ms", "overloaded"}},
		{"silent to TLS", func(c net.Conn) { io.Copy(io.Discard, c) }, quicklyTLS, []string{"sent nothing in 500ms", "with TLS"}},
		{"three bytes", send("\x00\x00\x06"), quickly, []string{`sent only 000006 in hexadecimal in 500ms`}},
		{"closes", func(c net.Conn) { io.ReadFull(c, make([]byte, 24)); c.Close() }, fastgrpc.ClientConfig{}, []string{"closed the connection before"}},
		{"closes on TLS", func(c net.Conn) { io.ReadFull(c, make([]byte, 24)); c.Close() }, withTLS, []string{"before it answered the TLS handshake"}},
		{"rubbish", send("220 mail ready\r\nmore"), fastgrpc.ClientConfig{}, []string{"first bytes are '220 mail ready'", "check the name"}},
		{"HTTP/1.1", send("HTTP/1.1 400 Bad Request\r\n\r\n"), fastgrpc.ClientConfig{}, []string{"HTTP/1.1, not HTTP/2", "Bad Requ"}},
		{"Kestrel's default", send("\x00\x00\x08\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0d"), fastgrpc.ClientConfig{},
			[]string{"HTTP_1_1_REQUIRED", "listenOptions.Protocols = HttpProtocols.Http2"}},
		{"TLS alert", send("\x15\x03\x01\x00\x02\x02\x46"), fastgrpc.ClientConfig{}, []string{"the server speaks TLS", "credentials.NewTLS"}},
		{"plaintext to TLS", send("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64"), withTLS, []string{"leave the TLS credentials out"}},
		{"rubbish to TLS", send("what do you want of me?"), withTLS, []string{"this client speaks TLS and the server doesn't"}},
	} {
		t.Run(tt.what, func(t *testing.T) {
			t.Parallel()
			name := pipeName(t)
			strange(t, name, tt.serve)
			tellsBoth(t, dial(t, name, tt.cfg), append(tt.want, pathOf(t, name))...)
		})
	}
	t.Run("TLS server", func(t *testing.T) {
		t.Parallel()
		name := pipeName(t)
		strange(t, name, func(c net.Conn) {
			s, _, err := serverTLS.ServerHandshake(c)
			if err == nil {
				s.Close()
			}
		})
		// Go's TLS just hangs up on what isn't TLS.
		tellsBoth(t, dial(t, name), "it may want TLS", "credentials.NewTLS", pathOf(t, name))
	})
}

// tellsBoth checks the error of a call that fails fast and of one that waits.
func tellsBoth(t *testing.T, cc engine.Conn, want ...string) {
	t.Helper()
	_, err := call(testContext(t), cc)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("code %v", status.Code(err))
	}
	wantText(t, err, want...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, err = call(ctx, cc, grpc.WaitForReady(true))
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("waiting: code %v", status.Code(err))
	}
	wantText(t, err, want...)
}

func TestSilentServerIsGivenUpAfterFiveSeconds(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	strange(t, name, func(c net.Conn) { io.Copy(io.Discard, c) })
	start := time.Now()
	_, err := call(testContext(t), dial(t, name))
	wantText(t, err, "sent nothing in 5s", pathOf(t, name))
	if d := time.Since(start); d < 4900*time.Millisecond || d > 6*time.Second {
		t.Errorf("it took %v", d)
	}
}

func TestHTTP1Server(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	lis := listen(t, name)
	srv := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(lis) }()
	t.Cleanup(func() { srv.Close(); <-done })
	tellsBoth(t, dial(t, name), pathOf(t, name), "HTTP/1.1, not HTTP/2")
}

func TestHTTPSNeedsTLS(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	got := make(chan []byte, 64)
	strange(t, name, func(c net.Conn) {
		b, _ := io.ReadAll(c)
		got <- b
	})
	_, err := grpcpipe.NewClient("https://pipe:/" + name)
	wantText(t, err, "https needs TLS credentials", "credentials.NewTLS", "https://pipe:/"+name)

	cc := client(t, "https://pipe:/"+name, grpc.WithTransportCredentials(insecure.NewCredentials()))
	_, err = call(testContext(t), cc)
	wantText(t, err, "nothing was sent", "credentials.NewTLS", pathOf(t, name))
	if b := <-got; len(b) > 0 {
		t.Errorf("%q was sent in plaintext", b)
	}
}

func TestServerCutsSilentClient(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	s := serve(t, name, fastgrpc.ServerConfig{Limits: fastgrpc.Limits{Handshake: 300 * time.Millisecond}})
	c := dialRaw(t, name)
	start := time.Now()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d < 200*time.Millisecond || d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	mustCall(testContext(t), t, dial(t, name))
	if s.lis.Stats().Accepted != 2 {
		t.Errorf("%+v", s.lis.Stats())
	}
}

func TestStatesAsTheServerDiesAndReturns(t *testing.T) {
	t.Parallel()
	ctx, name := testContext(t), pipeName(t)
	cc := dial(t, name)
	if got := cc.GetState(); got != connectivity.Idle {
		t.Errorf("a new channel is %v", got)
	}
	cc.Connect()
	waitState(ctx, t, cc, connectivity.TransientFailure)
	s := serve(t, name)
	waitState(ctx, t, cc, connectivity.Ready)
	s.stop()
	waitState(ctx, t, cc, connectivity.Idle)
	_, err := call(ctx, cc)
	wantText(t, err, "no such pipe")
	waitState(ctx, t, cc, connectivity.TransientFailure)
	serve(t, name)
	waitState(ctx, t, cc, connectivity.Ready)
	mustCall(ctx, t, cc)
	cc.Close()
	if got := cc.GetState(); got != connectivity.Shutdown {
		t.Errorf("a closed channel is %v", got)
	}
}

func TestEnvironmentProxyIsIgnored(t *testing.T) {
	t.Setenv("HTTPS_PROXY", "http://127.0.0.1:1")
	t.Setenv("NO_PROXY", "")
	name := pipeName(t)
	serve(t, name)
	if reply := mustCall(testContext(t), t, dial(t, name)); !strings.HasPrefix(reply.ServerId, name) {
		t.Error(reply)
	}
}
