package namedpipe

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAcceptFailsForGood: a failure that doesn't pass ends Accept. Here another
// part of the program has put a file in place of the socket.
func TestAcceptFailsForGood(t *testing.T) {
	t.Parallel()
	l, err := Listen(t.Context(), shortDir(t)+"/s")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	rc, err := l.l.ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if cerr := rc.Control(func(fd uintptr) { err = unix.Dup3(int(file.Fd()), int(fd), unix.O_CLOEXEC) }); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
	l.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = l.Accept()
	if !errors.Is(err, syscall.ENOTSOCK) || !strings.Contains(err.Error(), "listen again") {
		t.Errorf("Accept: %v", err)
	}
}
