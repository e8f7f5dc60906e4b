package grpcpipe_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A program with a window that talks to its service, which another account than
// this user's runs: on Windows it owns the pipe, elsewhere it serves the socket.
// examples/desktop shows how to accept that account alone.
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
