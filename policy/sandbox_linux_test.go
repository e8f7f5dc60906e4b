package policy_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/grpcpipe/grpcpipe/internal/testing/seccomp"
)

func init() { seccomp.Enter() }

// TestRecheckWithoutPeerPidfd: nor is a stream disturbed where the system gives
// no hold on the caller's process.
func TestRecheckWithoutPeerPidfd(t *testing.T) {
	if seccomp.Without(t, unix.SO_PEERPIDFD) {
		TestRecheckLeavesStreamsAlone(t)
	}
}
