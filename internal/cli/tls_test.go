package cli

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
)

// certificateFor makes a certificate for a host's name or address, and a file of
// it for --cacert.
func certificateFor(t *testing.T, host string) (cert tls.Certificate, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	if ip := net.ParseIP(host); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{host}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, file
}

// A pipe's server is localhost; a host over the network is itself, unless
// --servername says otherwise.
func TestTLSVerifiesTheHost(t *testing.T) {
	t.Parallel()
	const host = "127.0.0.1"
	for _, name := range []string{"localhost", host} {
		cert, file := certificateFor(t, name)
		pipe, end := listenAt(t, "pipe")
		lis, err := net.Listen("tcp", host+":0")
		if err != nil {
			t.Fatal(err)
		}
		s := interoptest.NewServer(append(grpcpipe.ServerOptions(), grpc.Creds(credentials.NewServerTLSFromCert(&cert)))...)
		go s.Serve(pipe)
		go s.Serve(lis)
		t.Cleanup(s.Stop)
		for _, tt := range []struct {
			target, flag string
			wants        string // the name to be verified
		}{
			{end, "", "localhost"},
			{end, "--servername=" + host, host},
			{lis.Addr().String(), "", host},
			{lis.Addr().String(), "--servername=localhost", "localhost"},
		} {
			var stdout, stderr bytes.Buffer
			args := []string{"call", tt.target, "greet.Greeter/SayHello", "-d", `{"name":"you"}`, "--cacert", file}
			if tt.flag != "" {
				args = append(args, tt.flag)
			}
			exit := Main(args, strings.NewReader(""), &stdout, &stderr)
			switch {
			case tt.wants == name && (exit != exitOK || !strings.Contains(stdout.String(), "Hello you")):
				t.Errorf("a certificate for %s, %s %s: %d %s", name, tt.target, tt.flag, exit, &stderr)
			case tt.wants != name && (exit != exitConnect || !strings.Contains(stderr.String(), "--servername")):
				t.Errorf("a certificate for %s, %s %s: %d %s", name, tt.target, tt.flag, exit, &stderr)
			}
			if tt.wants != name || tt.flag != "" {
				continue
			}
			authority := tt.target
			if name == "localhost" {
				authority = name // a pipe's
			}
			stdout.Reset()
			exit = Main([]string{"doctor", tt.target, "--cacert", file}, strings.NewReader(""), &stdout, &stderr)
			if exit != exitOK || !strings.Contains(stdout.String(), "it takes "+authority) {
				t.Errorf("doctor %s: %d %s", tt.target, exit, &stdout)
			}
		}
	}
}
