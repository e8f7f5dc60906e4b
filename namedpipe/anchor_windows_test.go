package namedpipe

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

// TestNameStays: a listener that has lost all its instances keeps its name. No
// stranger can take it, and the listener doesn't join a stranger's pipe.
func TestNameStays(t *testing.T) {
	var failing atomic.Bool
	real := createPipe
	t.Cleanup(func() { createPipe = real })
	createPipe = func(pipe *windows.Handle, access uint32, oa *windows.OBJECT_ATTRIBUTES, iosb *windows.IO_STATUS_BLOCK, share, disposition, options, typ, readMode, completionMode, maxInstances, inbound, outbound uint32, timeout *int64) error {
		if failing.Load() {
			return windows.STATUS_INSUFFICIENT_RESOURCES
		}
		return real(pipe, access, oa, iosb, share, disposition, options, typ, readMode, completionMode, maxInstances, inbound, outbound, timeout)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l, err := (&ListenConfig{Instances: 1}).Listen(ctx, fmt.Sprintf("np-%x", time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	// It goes before createPipe is itself again.
	t.Cleanup(func() { l.Close() })
	path := l.Addr().String()
	failing.Store(true)
	client, err := Dial(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
	client.Close()
	stranger := listener{addr: &Addr{path: path}, sd: l.l.sd, pipeType: l.l.pipeType, bufferSize: 1}
	failing.Store(false)
	pipe, err := stranger.create(windows.GENERIC_READ|windows.GENERIC_WRITE|windows.SYNCHRONIZE, windows.FILE_CREATE)
	if err == nil {
		windows.CloseHandle(pipe)
		t.Error("a stranger has taken the name of a listener without instances")
	}
	// The listener makes its instance again, of the same pipe.
	if client, err = (&Dialer{WaitForServer: true}).Dial(ctx, path); err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if server, err = l.AcceptPipe(); err != nil {
		t.Fatal(err)
	}
	server.Close()
}

// TestAnchorTakesNoClient: the handle that keeps the name is never what a client
// connects to.
func TestAnchorTakesNoClient(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	l, err := (&ListenConfig{Instances: 1}).Listen(ctx, fmt.Sprintf("np-%x", time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for i := range 20 {
		client, err := Dial(ctx, l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		if _, err := client.Write([]byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
		server, err := l.AcceptPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		b := make([]byte, 1)
		if _, err := io.ReadFull(server, b); err != nil || b[0] != byte(i) {
			t.Errorf("connection %d: %v, %v", i, b, err)
		}
	}
}

func TestIsLocal(t *testing.T) {
	for _, test := range []struct {
		answered bool
		err      error
		want     bool
	}{
		{false, windows.ERROR_PIPE_LOCAL, true},
		{true, windows.ERROR_SUCCESS, false},
		{true, windows.ERROR_PIPE_LOCAL, false}, // left over from an earlier call
		{false, windows.ERROR_MORE_DATA, false},
		{false, windows.ERROR_NOT_SUPPORTED, false},
		{false, windows.ERROR_ACCESS_DENIED, false},
	} {
		if got := isLocal(test.answered, test.err); got != test.want {
			t.Errorf("%v, %v: local is %v", test.answered, test.err, got)
		}
	}
}

// TestSameFilePaths: no server and no device is opened, though the file be the
// same.
func TestSameFilePaths(t *testing.T) {
	file := filepath.Join(t.TempDir(), "program.exe")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	slashes := filepath.ToSlash(file)
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{file, file, true},
		{file, slashes, true},
		{file, `\\?\` + file, false},
		{`\\?\` + file, `\\?\` + file, false},
		{`\\.\` + file, file, false},
		{`\??\` + file, file, false},
		{`\\server\share\program.exe`, `\\server\share\program.exe`, false},
		{`//server/share/program.exe`, file, false},
		{file, file + ".other", false},
		{"", "", false},
	} {
		if got := sameFile(test.a, test.b); got != test.want {
			t.Errorf("%q and %q: %v", test.a, test.b, got)
		}
	}
}
