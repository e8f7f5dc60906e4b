// Package desktop is the client of examples/service in a desktop program. It
// accepts only the real service, shows when the service is down, and reconnects
// when it is back. csharp and node do the same in their languages.
package desktop

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// snippet: client

// Connect returns a channel to the service, which need not be running yet. The
// channel sends nothing to a server of any other account, this user's and the
// system's included.
func Connect(pipe, account string) (*grpc.ClientConn, error) {
	want, err := namedpipe.LookupUser(account)
	if err != nil {
		return nil, err // on Windows: the service is not installed
	}
	trust := namedpipe.Trust{
		Users: []string{want.ID},
		Check: func(server *namedpipe.Peer) error {
			if !server.UserProven || server.User.ID != want.ID {
				return fmt.Errorf("it does not run as %s", account)
			}
			return nil
		},
	}
	return grpcpipe.NewClient(pipe, grpcpipe.WithDialer(&namedpipe.Dialer{Server: trust}))
}

// Greet calls the service. It waits 5 seconds for it to come up.
func Greet(ctx context.Context, conn *grpc.ClientConn, name string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	reply, err := greetpb.NewGreeterClient(conn).SayHello(ctx, &greetpb.HelloRequest{Name: name}, grpc.WaitForReady(true))
	return reply.GetMessage(), err
}

// Watch calls show with the text of a status line, now and whenever it changes,
// until ctx ends.
func Watch(ctx context.Context, conn *grpc.ClientConn, show func(string)) {
	said := ""
	for {
		state := conn.GetState()
		text := "The service is not running. Waiting for it…"
		switch state {
		case connectivity.Ready:
			text = "Connected."
		case connectivity.Idle:
			conn.Connect() // to show the state before the first call
			text = said
		case connectivity.Connecting:
			text = said // this state is brief
		}
		if text != said {
			said = text
			show(text)
		}
		if !conn.WaitForStateChange(ctx, state) {
			return
		}
	}
}

// end snippet
