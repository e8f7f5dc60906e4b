package grpcpipe_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"
	"testing"
	"time"

	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// serverMain is the test binary as a server process on the pipe that it is given,
// of the engine that it is given.
// It prints when it began to listen, and ends when its standard input does, so
// that it doesn't outlive the test.
func serverMain() {
	name := os.Args[1]
	lis, err := namedpipe.Listen(context.Background(), name)
	listening := time.Now()
	if err != nil {
		log.Fatal(err)
	}
	srv := byName(os.Args[2]).NewServer(fastgrpc.ServerConfig{})
	grpc_testing.RegisterTestServiceServer(srv, &service{name: name})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		lis.Close() // which removes the socket
		os.Exit(0)
	}()
	fmt.Println(listening.UnixNano())
	if err := srv.Serve(lis); err != nil {
		log.Fatal(err)
	}
}

// A child is a server in a process of its own.
type child struct {
	*testproc.Process
	listening time.Time
}

// startChild starts a server process on the pipe and returns when it listens.
// The process is killed with the test.
func startChild(t testing.TB, name string) *child {
	t.Helper()
	ctx := testContext(t)
	cmd, err := testproc.Self(context.Background(), "server", name, engineOf(t).Name)
	if err != nil {
		t.Fatal(err)
	}
	p, err := testproc.Start(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	line, err := p.WaitLine(ctx, "")
	if err != nil {
		t.Fatal(err)
	}
	nano, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return &child{p, time.Unix(0, nano)}
}
