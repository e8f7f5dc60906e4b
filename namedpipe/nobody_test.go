//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// programs is the folder of readableProgram, which TestMain removes.
var programs string

// readableProgram is a copy of this test binary that every user may run.
var readableProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		return "", err
	}
	programs = dir
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "helper")
	return program, errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, b, 0o755))
})

func removePrograms() {
	if programs != "" {
		os.RemoveAll(programs)
	}
}

var nobody = syscall.Credential{Uid: 65534, Gid: 65534}

// asNobody runs a helper of this test binary as the user nobody and returns
// what it printed.
func asNobody(t *testing.T, what string, args ...string) string {
	t.Helper()
	out, err := commandAs(t, nobody, what, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// commandAs is a helper as any user, who need not exist.
func commandAs(t *testing.T, who syscall.Credential, what string, args ...string) *exec.Cmd {
	t.Helper()
	program, err := readableProgram()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(soon(t), program)
	cmd.Dir = "/"
	cmd.Env = []string{"NAMEDPIPE_TEST_HELPER=" + what, "NAMEDPIPE_TEST_ARGS=" + strings.Join(args, "|"), raceExit}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &who}
	return cmd
}
