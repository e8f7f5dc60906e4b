package grpcpipe_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A service for every user of this machine, with one method that only
// administrators may call. Here Watch is that method.
func ExamplePolicy() {
	policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{
		Rules: map[string]grpcpipe.Requirement{
			"/grpc.health.v1.Health/*":     grpcpipe.AnyPeer(),
			"/grpc.health.v1.Health/List":  grpcpipe.Requirement{}, // nobody
			"/grpc.health.v1.Health/Watch": grpcpipe.Administrators(),
		},
		Logger: slog.New(slog.DiscardHandler), // is told who was refused
	})
	if err != nil {
		log.Fatal(err)
	}
	lc := namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.LocalUsers}}
	lis, err := lc.Listen(context.Background(), "example-service")
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer(append(grpcpipe.ServerOptions(), policy.ServerOptions()...)...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	go srv.Serve(lis)
	defer srv.Stop()

	// A user's program.
	cc, err := grpcpipe.NewClient("example-service")
	if err != nil {
		log.Fatal(err)
	}
	defer cc.Close()
	client := healthpb.NewHealthClient(cc)
	reply, err := client.Check(context.Background(), &healthpb.HealthCheckRequest{})
	fmt.Println(reply.GetStatus(), err)
	_, err = client.List(context.Background(), &healthpb.HealthListRequest{})
	fmt.Println(err)
	// Output:
	// SERVING <nil>
	// rpc error: code = PermissionDenied desc = /grpc.health.v1.Health/List requires nobody may call it
}

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
