package policy_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
	"github.com/grpcpipe/grpcpipe/policy"
)

// A service for every user of this machine, with one method that only
// administrators may call. Here Watch is that method.
func Example() {
	guard, err := policy.New(policy.Config{
		Rules: map[string]policy.Requirement{
			"/grpc.health.v1.Health/*":     policy.AnyPeer(),
			"/grpc.health.v1.Health/List":  policy.Requirement{}, // nobody
			"/grpc.health.v1.Health/Watch": policy.Administrators(),
		},
		Logger: slog.New(slog.DiscardHandler), // gets a warning for each refused call
	})
	if err != nil {
		log.Fatal(err)
	}
	lc := namedpipe.ListenConfig{Access: namedpipe.Access{Who: namedpipe.LocalUsers}}
	lis, err := lc.Listen(context.Background(), "example-policy")
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer(append(grpcpipe.ServerOptions(), guard.ServerOptions()...)...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	go srv.Serve(lis)
	defer srv.Stop()

	// A user's program.
	cc, err := grpcpipe.NewClient("example-policy")
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
	// rpc error: code = PermissionDenied desc = /grpc.health.v1.Health/List may not be called by anyone
}
