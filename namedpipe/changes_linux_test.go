package namedpipe_test

import (
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestReplacedWithoutWatches: where the user has no watches left, the listener
// looks by itself.
func TestReplacedWithoutWatches(t *testing.T) {
	for n := 0; ; n++ {
		fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
		if errors.Is(err, unix.EMFILE) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if n == 512 {
			t.Skip("this user may have more than 512 instances of inotify")
		}
	}
	l := listen(t, freshName(t), namedpipe.ListenConfig{})
	if err := os.Remove(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	_, err := l.Accept()
	checkError(t, err, "accept", []error{namedpipe.ErrReplaced}, false, "another process")
}
