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
	"log"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
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

// helper starts one of the programs as another process. It has printed "ready"
// when helper returns.
func helper(t *testing.T, program string, args ...string) *testproc.Process {
	t.Helper()
	cmd, err := testproc.Self(t.Context(), program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return startReady(t, cmd)
}

func startReady(t *testing.T, cmd *exec.Cmd) *testproc.Process {
	t.Helper()
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.WaitLine(soon(t), "ready"); err != nil {
		t.Fatal(err)
	}
	return p
}

// programs are what this test binary can be in other processes.
var programs = map[string]func(){
	"serve": func() { // listens, accepts and holds all connections until killed
		l := mustListen(namedpipe.ListenConfig{})
		for {
			if _, err := l.Accept(); err != nil {
				log.Fatal(err)
			}
		}
	},
	"hold": func() { // opens a number of connections, each with a byte each way
		n, err := strconv.Atoi(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("ready")
		fmt.Print(hold(os.Args[1], n))
	},
	"talk": func() { // dials and prints what the server did with it
		fmt.Print(talk(os.Args[1], namedpipe.Trust{}))
	},
	"talk to anyone": func() {
		fmt.Print(talk(os.Args[1], namedpipe.Trust{Anyone: true}))
	},
	"listen for a byte": func() { // accepts forever and prints what clients send
		l := mustListen(namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.Everyone}})
		for {
			s, err := l.Accept()
			if err != nil {
				log.Fatal(err)
			}
			io.Copy(os.Stdout, s)
		}
	},
	"swap": func() { // puts a link to the second argument in place of each folder made in the first
		fmt.Println("ready")
		for n := 0; ; n++ {
			files, _ := os.ReadDir(os.Args[1])
			for _, f := range files {
				made := filepath.Join(os.Args[1], f.Name())
				if f.IsDir() && os.Rename(made, fmt.Sprintf("%s/old%d", os.Args[1], n)) == nil {
					os.Symlink(os.Args[2], made)
				}
			}
		}
	},
	"dial": func() {
		_, err := namedpipe.Dial(context.Background(), os.Args[1])
		fmt.Printf("%v; permission: %v", err, errors.Is(err, fs.ErrPermission))
	},
	"listen": func() {
		_, err := namedpipe.Listen(context.Background(), os.Args[1])
		fmt.Printf("%v; permission: %v", err, errors.Is(err, fs.ErrPermission))
	},
}

// mustListen is a program's listener on the pipe of its first argument.
func mustListen(lc namedpipe.ListenConfig) *namedpipe.Listener {
	l, err := lc.Listen(context.Background(), os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	return l
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
func talk(name string, trust namedpipe.Trust) string {
	c, err := (&namedpipe.Dialer{Server: trust}).Dial(context.Background(), name)
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
