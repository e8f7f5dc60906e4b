package namedpipe_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/internal/testing/seccomp"
)

// Where the kernel doesn't report the client's credentials, nobody knows it.
func TestUnidentifiedInLog(t *testing.T) {
	if seccomp.Without(t, unix.SO_PEERCRED) {
		checkUnidentified(t, "unknown user", "doesn't report who is at the other end")
	}
}
