package namedpipe_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func containsLine(text []byte, part string) bool { return bytes.Contains(text, []byte(part)) }

var testCertificate = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// raceExit keeps a helper with the race detector from sleeping a second before
// it exits.
const raceExit = "GORACE=atexit_sleep_ms=0"

// helper starts this test binary again as another process that does one of the
// things in runHelper. It has printed "ready" when helper returns; out is what it
// prints after that.
func helper(t *testing.T, what string, args ...string) (cmd *exec.Cmd, out io.Reader) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "NAMEDPIPE_TEST_HELPER="+what, "NAMEDPIPE_TEST_ARGS="+strings.Join(args, "|"), raceExit)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	ready := make([]byte, len("ready"))
	if _, err := io.ReadFull(out, ready); err != nil {
		t.Fatalf("the helper %q did not get ready: %v", what, err)
	}
	return cmd, out
}

// runHelper is the body of a helper process.
func runHelper(what string) int {
	args := strings.Split(os.Getenv("NAMEDPIPE_TEST_ARGS"), "|")
	switch what {
	case "serve": // listens, accepts and holds all connections until killed
		l, err := namedpipe.Listen(context.Background(), args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Print("ready")
		for {
			if _, err := l.Accept(); err != nil {
				return 1
			}
		}
	case "hold": // opens so many connections, each with a byte each way
		n, err := strconv.Atoi(args[1])
		if err != nil {
			return 2
		}
		fmt.Print("ready")
		fmt.Print(hold(args[0], n))
		return 0
	case "talk": // dials and tells what the server did with it
		fmt.Print(talk(args[0]))
		return 0
	case "listen for a byte": // accepts for ever and prints what clients send
		l, err := (&namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.Everyone}}).Listen(context.Background(), args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Print("ready")
		for {
			s, err := l.Accept()
			if err != nil {
				return 1
			}
			io.Copy(os.Stdout, s)
		}
	case "dial":
		_, err := namedpipe.Dial(context.Background(), args[0])
		fmt.Printf("%v; permission: %v", err, errors.Is(err, fs.ErrPermission))
		return 0
	case "listen":
		_, err := namedpipe.Listen(context.Background(), args[0])
		fmt.Printf("%v; permission: %v", err, errors.Is(err, fs.ErrPermission))
		return 0
	}
	fmt.Fprintln(os.Stderr, "unknown helper", what)
	return 2
}

func hold(name string, n int) string {
	conns := make([]*namedpipe.Conn, n)
	for i := range conns {
		c, err := namedpipe.Dial(context.Background(), name)
		if err != nil {
			return fmt.Sprintf("connection %d: %v", i, err)
		}
		conns[i] = c
		if _, err := c.Write([]byte{byte(i)}); err != nil {
			return fmt.Sprintf("connection %d: %v", i, err)
		}
	}
	for i, c := range conns {
		b := make([]byte, 1)
		if _, err := io.ReadFull(c, b); err != nil || b[0] != byte(i) {
			return fmt.Sprintf("connection %d: %v, %v", i, b, err)
		}
	}
	return "all answered"
}

// talk is a client that says a word and waits for the echo.
func talk(name string) string {
	c, err := namedpipe.Dial(context.Background(), name)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "denied"
	case err != nil:
		return err.Error()
	}
	defer c.Close()
	c.Write([]byte("x")) // fails if the server has refused already
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		return "refused"
	}
	return "admitted"
}
