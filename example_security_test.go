package grpcpipe_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A program with a window that talks to its service. It accepts the real
// service and nobody who took the name before it: on Windows the service's own
// account owns the pipe, elsewhere the user that it runs as serves the socket.
func ExampleWithDialer() {
	trust := namedpipe.Trust{
		Users: []string{"root"}, // on Windows: `NT SERVICE\MyService`
		Check: func(p *namedpipe.Peer) error { // on top: one's own last word
			if p.Remote {
				return fmt.Errorf("it is on another machine")
			}
			return nil
		},
	}
	if os.PathSeparator == '\\' {
		trust.Users = []string{"S-1-5-18"} // LocalSystem
	}
	cc, err := grpcpipe.NewClient("example-gui", grpcpipe.WithDialer(&namedpipe.Dialer{Server: trust}))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()

	// No service yet: a call says so at once.
	_, err = healthpb.NewHealthClient(cc).Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(status.Code(err) == codes.Unavailable)
	// Output: true
}

// A parent starts a child, hands it a fresh name and accepts that child alone
// as its server.
func Example_parentAndChild() {
	name := fmt.Sprintf("example-child-%d-%d", os.Getpid(), time.Now().UnixNano())
	child, err := testproc.Self(context.Background(), "server", name) // here the test binary
	if err != nil {
		log.Fatal(err)
	}
	stdin, err := child.StdinPipe() // the child ends when this is closed
	if err != nil {
		log.Fatal(err)
	}
	if err := child.Start(); err != nil {
		log.Fatal(err)
	}
	defer child.Wait()
	defer stdin.Close()

	cc, err := grpcpipe.NewClient(name, grpcpipe.WithDialer(&namedpipe.Dialer{
		WaitForServer: true,
		Server:        namedpipe.Trust{PID: child.Process.Pid},
	}))
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	_, err = grpc_testing.NewTestServiceClient(cc).EmptyCall(ctx, &grpc_testing.Empty{}, grpc.WaitForReady(true))
	fmt.Println("the child answers:", err == nil)

	impostor := &namedpipe.Dialer{Server: namedpipe.Trust{PID: child.Process.Pid + 1}}
	_, err = impostor.Dial(ctx, name)
	fmt.Println("another process is accepted:", err == nil)
	// Output:
	// the child answers: true
	// another process is accepted: false
}
