package grpcpipe_test

import (
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestTalkerWithoutQuota: a server that speaks first and never reads, in a pipe
// that buffers nothing, holds up the client's write. What it said is the error
// at once, not at the end of the connect timeout.
func TestTalkerWithoutQuota(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	path, err := windows.UTF16PtrFromString(`\\.\pipe\` + name)
	if err != nil {
		t.Fatal(err)
	}
	pipe, err := windows.CreateNamedPipe(path, windows.PIPE_ACCESS_DUPLEX, windows.PIPE_TYPE_BYTE, 1, 0, 0, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan error, 1)
	go func() {
		if err := windows.ConnectNamedPipe(pipe, nil); err != nil && err != windows.ERROR_PIPE_CONNECTED {
			said <- err
			return
		}
		var n uint32
		said <- windows.WriteFile(pipe, []byte("220 mail ready\r\nmore"), &n, nil)
	}()
	start := time.Now()
	// Under Wine a pipe made without a descriptor has no owner.
	anyone := grpcpipe.WithDialer(&namedpipe.Dialer{Server: namedpipe.Trust{Anyone: true}})
	_, err = call(testContext(t), client(t, name, anyone))
	took := time.Since(start)
	wantText(t, err, "first bytes are '220 mail ready'", "check the name")
	if took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	if err := <-said; err != nil {
		t.Errorf("the server: %v", err)
	}
	windows.CloseHandle(pipe)
}
