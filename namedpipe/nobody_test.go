//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asNobody runs a helper of this test binary as the user nobody and returns
// what it printed.
func asNobody(t *testing.T, what string, args ...string) string {
	t.Helper()
	// The binary must be where nobody may read it.
	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "helper")
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(soon(t), program)
	cmd.Dir = "/"
	cmd.Env = []string{"NAMEDPIPE_TEST_HELPER=" + what, "NAMEDPIPE_TEST_ARGS=" + strings.Join(args, "|")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}
