//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe_test

import (
	"os/exec"
	"syscall"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

var nobody = syscall.Credential{Uid: 65534, Gid: 65534}

// asNobody runs one of the programs as the user nobody and returns
// what it printed.
func asNobody(t *testing.T, what string, args ...string) string {
	t.Helper()
	out, err := commandAs(t, nobody, what, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// commandAs is one of the programs as any user, who need not exist.
func commandAs(t *testing.T, who syscall.Credential, program string, args ...string) *exec.Cmd {
	t.Helper()
	cmd, err := testproc.SelfAs(soon(t), who, program, args...)
	if err != nil {
		t.Fatal(err)
	}
	return cmd
}
