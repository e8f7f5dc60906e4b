package namedpipe_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// kinds are the ways to make a connection that nettest is run on.
var kinds = map[string]nettest.MakePipe{
	"Pipe": func() (c1, c2 net.Conn, stop func(), err error) { return makePipe(namedpipe.ListenConfig{}) },
	"SmallPipe": func() (c1, c2 net.Conn, stop func(), err error) {
		return makePipe(namedpipe.ListenConfig{BufferSize: 1, Instances: 1})
	},
	"TLS": makeTLS,
}

// fitForTLS leaves out the cases that go on after a write has timed out:
// crypto/tls calls such a connection corrupt, on any transport.
const fitForTLS = "^(BasicIO|PingPong|RacyRead|RacyWrite|ReadTimeout|PresentTimeout|CloseTimeout)$"

func makePipe(lc namedpipe.ListenConfig) (c1, c2 net.Conn, stop func(), err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	l, err := lc.Listen(ctx, fmt.Sprintf("nettest-%d-%x", os.Getpid(), time.Now().UnixNano()))
	if err != nil {
		return nil, nil, nil, err
	}
	defer l.Close()
	client, err := namedpipe.Dial(ctx, l.Addr().String())
	if err != nil {
		return nil, nil, nil, err
	}
	server, err := l.Accept()
	if err != nil {
		return nil, nil, nil, err
	}
	return server, client, func() { server.Close(); client.Close() }, nil
}

func makeTLS() (c1, c2 net.Conn, stop func(), err error) {
	s, c, stop, err := makePipe(namedpipe.ListenConfig{})
	if err != nil {
		return nil, nil, nil, err
	}
	server := tls.Server(s, &tls.Config{Certificates: []tls.Certificate{testCertificate()}})
	client := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	shaken := make(chan error, 1)
	go func() { shaken <- server.Handshake() }()
	err = errors.Join(client.Handshake(), <-shaken)
	return tlsConn{server}, tlsConn{client}, stop, err
}

// tlsConn is a TLS connection that may be closed after the other end: Close
// then has nobody to say good-bye to.
type tlsConn struct{ *tls.Conn }

func (c tlsConn) Close() error {
	err := c.Conn.Close()
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func TestConn(t *testing.T) {
	for kind, make := range kinds {
		if kind != "TLS" {
			t.Run(kind, func(t *testing.T) { nettest.TestConn(t, make) })
		}
	}
}

// TestConnTLS runs, in a process of its own, the cases of nettest that a TLS
// connection can pass: nettest itself has no way to leave one out.
func TestConnTLS(t *testing.T) {
	if os.Getenv("NAMEDPIPE_TEST_TLS") != "" {
		nettest.TestConn(t, makeTLS)
		return
	}
	cmd := exec.CommandContext(soon(t), os.Args[0], "-test.run=^TestConnTLS$/"+fitForTLS, "-test.v")
	cmd.Env = append(os.Environ(), "NAMEDPIPE_TEST_TLS=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"BasicIO", "PingPong", "ReadTimeout", "CloseTimeout"} {
		if !containsLine(out, "--- PASS: TestConnTLS/"+name+" ") {
			t.Errorf("%s did not run:\n%s", name, out)
		}
	}
}

func TestSoakNettest(t *testing.T) {
	rounds := soak.N(100)
	if isWine() {
		rounds = soak.N(20)
	}
	for i := range rounds {
		for kind, make := range kinds {
			if kind == "TLS" {
				continue
			}
			if !t.Run(fmt.Sprintf("%s/%d", kind, i), func(t *testing.T) { nettest.TestConn(t, make) }) {
				break
			}
		}
		if !t.Run(fmt.Sprintf("TLS/%d", i), TestConnTLS) || t.Failed() {
			break
		}
	}
	soak.Report(t, "nettest.TestConn, every kind of conn", fmt.Sprintf("%d runs pass", rounds), fmt.Sprintf("%d runs", rounds))
}
