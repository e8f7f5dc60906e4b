//go:build unix

package testproc

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
)

// copies is the folder of readable, which removeCopies removes.
var copies string

// readable is a copy of this test binary that every user may run.
var readable = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("/tmp", "gp")
	if err != nil {
		return "", err
	}
	copies = dir
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(exe)
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "helper")
	return program, errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, b, 0o755))
})

func removeCopies() {
	if copies != "" {
		os.RemoveAll(copies)
	}
}

// SelfAs is Self as another user, who need not exist, with none of this
// process's environment. Only root can become another user.
func SelfAs(ctx context.Context, user syscall.Credential, program string, args ...string) (*exec.Cmd, error) {
	exe, err := readable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe, args...)
	cmd.Dir = "/"
	cmd.Env = []string{programEnv + "=" + program, raceExit}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &user}
	return cmd, nil
}
