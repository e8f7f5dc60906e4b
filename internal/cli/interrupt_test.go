package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// The first Ctrl-C ends the wait for standard input.
func TestInterruptedInput(t *testing.T) {
	t.Parallel()
	pipe := testproc.PipeName()
	served, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		execute(served, []string{"serve-demo", pipe}, strings.NewReader(""), io.Discard, io.Discard)
	}()
	defer func() { stop(); <-ended }()
	waitFor(t, pipe)
	for _, args := range [][]string{
		{"call", pipe, "greet.Greeter/SayHello", "-d", "@-"},
		{"call", pipe, "grpc.testing.TestService/StreamingInputCall", "-d", "@-"},
		{"bench", pipe, "greet.Greeter/SayHello", "-d", "@-"},
	} {
		ctx, interrupt := context.WithCancel(t.Context())
		in, typing := io.Pipe()
		var stderr bytes.Buffer
		exit := make(chan int, 1)
		go func() { exit <- execute(ctx, args, in, io.Discard, &stderr) }()
		typing.Write([]byte(" ")) // returns once the command reads
		interrupt()
		select {
		case got := <-exit:
			if got != exitInternal || !strings.Contains(stderr.String(), "interrupted") {
				t.Errorf("%v: exit status %d: %s", args, got, &stderr)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%v is still waiting", args)
		}
		typing.Close()
	}
}
