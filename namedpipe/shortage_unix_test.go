//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe_test

import (
	"fmt"
	"io"
	"log"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	programs["serve short of descriptors"] = func() { // echoes, logs, and prints when Accept was tried 5 times more
		var most syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most); err != nil {
			log.Fatal(err)
		}
		most.Cur = 24
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &most); err != nil {
			log.Fatal(err)
		}
		l := mustListen(namedpipe.ListenConfig{Logger: slog.New(slog.NewTextHandler(os.Stdout, nil))})
		go func() {
			for range time.Tick(time.Millisecond) {
				if l.Stats().Retries >= 5 {
					fmt.Println("tried 5 times")
					return
				}
			}
		}()
		for {
			s, err := l.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go func() {
				io.Copy(s, s)
				s.Close()
			}()
		}
	}
}

// TestShortOfDescriptors: a server that is out of descriptors serves again as
// soon as it has some, and doesn't fill its log meanwhile.
func TestShortOfDescriptors(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	server := helper(t, "serve short of descriptors", name)
	var crowd []*namedpipe.Conn
	for range 40 {
		c, err := namedpipe.Dial(soon(t), name)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		crowd = append(crowd, c)
	}
	if _, err := server.WaitLine(soon(t), "tried 5 times"); err != nil {
		t.Fatal(err)
	}
	for _, c := range crowd {
		c.Close()
	}
	if said := talk(name, namedpipe.Trust{}); said != "admitted" {
		t.Errorf("a client when the crowd has gone: %s", said)
	}
	if n := strings.Count(server.Stdout(), "accept failed"); n != 1 {
		t.Errorf("%d lines in the log:\n%s", n, server.Stdout())
	}
}
