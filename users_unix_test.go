//go:build linux || darwin || freebsd

package grpcpipe_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() { programs["crowd"] = crowdMain }

// crowdMain is the test binary as a crowd of callers: its arguments are the
// pipe's path and their number.
func crowdMain() {
	n, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if err := callAsCrowd(os.Args[1], n); err != nil {
		log.Fatal(err)
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

	var wg sync.WaitGroup
	for _, uid := range []uint32{70001, 70002} {
		user := syscall.Credential{Uid: uid, Gid: uid}
		cmd, err := testproc.SelfAs(testContext(t), user, "crowd", lis.Addr().String(), "100")
		if err != nil {
			t.Fatal(err)
		}
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
