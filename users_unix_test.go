//go:build linux || darwin || freebsd

package grpcpipe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// callersEnv makes the test binary a crowd of callers: its value is the pipe's
// name and how many.
const callersEnv = "GRPCPIPE_TEST_CALLERS"

func init() {
	if value := os.Getenv(callersEnv); value != "" {
		name, count, _ := strings.Cut(value, "|")
		n, _ := strconv.Atoi(count)
		if err := callAsCrowd(name, n); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
}

// callAsCrowd makes n channels at once and some calls on each. The server must
// take each call for this process's own user and no other.
func callAsCrowd(name string, n int) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	want := strconv.Itoa(os.Geteuid())
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			cc, err := grpcpipe.NewClient("npipe:"+name, grpcpipe.WithDialer(&namedpipe.Dialer{Server: namedpipe.Trust{Users: []string{"0"}}}))
			if err != nil {
				errs[i] = err
				return
			}
			defer cc.Close()
			for range 10 {
				reply, err := grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, &grpc_testing.SimpleRequest{}, grpc.WaitForReady(true))
				if err == nil && reply.Username != want {
					err = fmt.Errorf("the server took user %s for %s", want, reply.Username)
				}
				errs[i] = errors.Join(errs[i], err)
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// TestTwoUsersAtOnce: 200 clients of two users, at once. No call ever sees
// another's identity.
func TestTwoUsersAtOnce(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can become other users")
	}
	name := pipeName(t)
	lis, err := (&namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.LocalUsers}}).Listen(testContext(t), name)
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	grpc_testing.RegisterTestServiceServer(srv, &service{unary: whoami})
	served := make(chan struct{})
	go func() { defer close(served); srv.Serve(lis) }()
	defer func() { srv.Stop(); <-served }()

	dir, err := os.MkdirTemp("/tmp", "np")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "callers")
	b, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(program, b, 0o755)); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for _, uid := range []uint32{70001, 70002} {
		cmd := exec.CommandContext(testContext(t), program)
		cmd.Dir = "/"
		cmd.Env = []string{callersEnv + "=" + lis.Addr().String() + "|100", "GORACE=atexit_sleep_ms=0"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		wg.Go(func() {
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("user %d: %v\n%s", uid, err, out)
			}
		})
	}
	wg.Wait()
	if s := lis.Stats(); s.Accepted < 200 {
		t.Errorf("stats are %+v", s)
	}
}
