package grpcpipe_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// serveEnv makes the test binary a server: its value is the pipe's name.
const serveEnv = "GRPCPIPE_TEST_SERVE"

// serveAsChild is the test binary as a server process. It says when it began to
// listen, and ends when its standard input does, so that it doesn't outlive the
// test.
func serveAsChild(name string) int {
	lis, err := namedpipe.Listen(context.Background(), name)
	listening := time.Now()
	if err != nil {
		fmt.Println(err)
		return 1
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	grpc_testing.RegisterTestServiceServer(srv, &service{name: name})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		lis.Close() // which removes the socket
		os.Exit(0)
	}()
	fmt.Println(listening.UnixNano())
	if err := srv.Serve(lis); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// A child is a server in a process of its own.
type child struct {
	cmd       *exec.Cmd
	stdin     io.Closer
	listening time.Time
}

// startChild starts a server process on the pipe and returns when it listens.
// The process is killed with the test.
func startChild(t testing.TB, name string) *child {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), serveEnv+"="+name)
	c.cmd.Stderr = os.Stderr
	if c.stdin, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	nano, perr := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
	if err != nil || perr != nil {
		t.Fatalf("the server process said %q, %v", line, err)
	}
	c.listening = time.Unix(0, nano)
	return c
}

// kill ends the process the hard way and waits until it is gone.
func (c *child) kill() {
	c.cmd.Process.Kill() // fails if it was killed before
	c.cmd.Wait()
	c.stdin.Close()
}
