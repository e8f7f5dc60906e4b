package interop_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// clientLimit bounds one run of all of the .NET client's cases.
const clientLimit = 5 * time.Minute

// kestrelLeftOut are the cases that the .NET peer's server can't do, and why.
var kestrelLeftOut = map[string]string{
	"client_compressed_unary":     "ASP.NET Core doesn't show a service whether a message was compressed, so the peer ignores expect_compressed; gzip_unary covers the sending",
	"client_compressed_streaming": "as client_compressed_unary; gzip_streaming covers the sending",
	"server_compressed_unary":     "the peer's server has no response compression configured and ignores response_compressed",
	"server_compressed_streaming": "as server_compressed_unary",
	"status_details":              "the peer's service sends code and message only, without google.rpc details",
}

// variant is one way to connect the two.
type variant struct {
	name  string
	tls   bool
	trust bool     // the Go client trusts any server
	args  []string // of the .NET program
}

var clientVariants = []variant{
	{name: "plain"},
	{name: "tls", tls: true, args: []string{"--tls"}},
	{name: "current-user-only", args: []string{"--current-user-only"}},
	{name: "impersonation-Anonymous", args: []string{"--impersonation", "Anonymous"}},
	{name: "impersonation-Identification", args: []string{"--impersonation", "Identification"}},
	{name: "impersonation-Impersonation", args: []string{"--impersonation", "Impersonation"}},
	{name: "impersonation-Delegation", args: []string{"--impersonation", "Delegation"}},
}

// The .NET peer's client against a Go server, every case.
func TestSoakDotNetClientToGoServer(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		for _, v := range clientVariants {
			t.Run(v.name, func(t *testing.T) {
				mark := seen.RowOf(t, "dotnet-go-"+v.name, e.Name)
				pipe := testproc.PipeName()
				s := e.NewTestServer(serverConfig(t, v))
				t.Cleanup(s.Stop)
				serve(t, s, pipe)
				ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
				defer cancel()
				results, err := dotnetpeer.RunClient(ctx, t, pipe, nil, v.args...)
				if err != nil {
					t.Error(err)
				}
				passed := 0
				for _, name := range dotnetpeer.Cases {
					t.Run(name, func(t *testing.T) {
						if err, ok := results[name]; err != nil || !ok {
							t.Error(err)
							return
						}
						passed++
					})
				}
				all := len(dotnetpeer.Cases)
				mark.Say("%d of %d", passed, all)
				soak.Report(t, ".NET client to Go server, "+e.Name+", "+v.name, fmt.Sprintf("%d cases", all), fmt.Sprintf("%d passed", passed))
			})
		}
	})
}

var serverVariants = []variant{
	{name: "plain"},
	{name: "tls", tls: true, args: []string{"--tls", testdata("cert.pfx")}},
}

// Go's client against Kestrel, every case that the peer's service can do.
func TestSoakGoClientToKestrel(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		variants := serverVariants
		if runtime.GOOS == "windows" {
			variants = append(variants[:len(variants):len(variants)], variant{name: "everyone", args: []string{"--everyone"}})
		}
		for _, v := range variants {
			t.Run(v.name, func(t *testing.T) { runGoClient(t, e, "Kestrel", "go-kestrel-"+v.name, v) })
		}
	})
}

// Go's client against Kestrel on NamedPipeServerStream, .NET's other way to
// serve a pipe's name off Windows.
func TestSoakGoClientToNamedPipeServerStream(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		if runtime.GOOS == "windows" {
			t.Skip("the peer has this listener off Windows only: on Windows Kestrel's own uses NamedPipeServerStream")
		}
		dotnetpeer.Program(t)
		for _, v := range serverVariants {
			v.args = append(v.args[:len(v.args):len(v.args)], "--stream-listener")
			t.Run(v.name, func(t *testing.T) { runGoClient(t, e, "NamedPipeServerStream", "go-stream-"+v.name, v) })
		}
	})
}

func runGoClient(t *testing.T, e engine.Engine, server, row string, v variant) {
	t.Helper()
	mark := seen.RowOf(t, row, e.Name)
	pipe := testproc.PipeName()
	peer := dotnetpeer.StartServer(t, pipe, v.args...)
	target, conn := newTarget(t, e, pipe, v)
	passed := interoptest.Test(t, target, kestrelLeftOut)
	conn.Close()
	// The peer's stand-in listener doesn't end its connections when Kestrel
	// stops, which then takes all of the 30 s that it gives them.
	if !slices.Contains(v.args, "--stream-listener") {
		if err := peer.Stop(); err != nil {
			t.Error(err)
		}
	}
	all := len(interoptest.Cases()) - len(kestrelLeftOut)
	mark.Say("%d of %d", passed, all)
	soak.Report(t, "Go client, "+e.Name+", to "+server+", "+v.name, fmt.Sprintf("%d cases", all), fmt.Sprintf("%d passed", passed))
}

// serve serves s on the pipe. The caller stops s.
func serve(t *testing.T, s engine.Server, pipe string) {
	t.Helper()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(lis) // ends with Stop or GracefulStop
}

func newTarget(t *testing.T, e engine.Engine, pipe string, v variant) (interoptest.Target, engine.Conn) {
	t.Helper()
	var cfg fastgrpc.ClientConfig
	if v.tls {
		cfg.Credentials = grpcpipe.NewCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots(t)}))
	}
	if v.trust {
		cfg.Dialer = &namedpipe.Dialer{Server: namedpipe.Trust{Anyone: true}}
	}
	target, conn, err := e.NewTarget(pipe, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	target.Iterations = soak.N(1000)
	return target, conn
}

func serverConfig(t *testing.T, v variant) (cfg fastgrpc.ServerConfig) {
	t.Helper()
	if v.tls {
		cert, err := tls.LoadX509KeyPair(testdata("cert.pem"), testdata("key.pem"))
		if err != nil {
			t.Fatal(err)
		}
		cfg.Credentials = grpcpipe.NewCredentials(credentials.NewServerTLSFromCert(&cert))
	}
	return cfg
}

func roots(t *testing.T) *x509.CertPool {
	t.Helper()
	pem, err := os.ReadFile(testdata("cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("cert.pem holds no certificate")
	}
	return pool
}

func testdata(name string) string { return filepath.Join("testdata", name) }
