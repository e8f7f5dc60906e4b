package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

const (
	// name is the service's name to the system, from which its account follows on
	// Windows: NT SERVICE\GrpcpipeGreeter.
	name = "GrpcpipeGreeter"
	// stopTimeout is what calls under way have when the service is stopped. The
	// service managers wait longer.
	stopTimeout = 10 * time.Second
)

// snippet: serve

// Serve serves on the pipe until ctx ends, and then until the calls under way
// have ended. It calls ready, if that is not nil, once clients can connect.
func Serve(ctx context.Context, pipe string, ready func()) error {
	lc := namedpipe.ListenConfig{
		// Every user of this machine may connect; handlers see who calls.
		Access: namedpipe.Access{Who: namedpipe.LocalUsers},
		// A new version takes the name over without a failed call.
		TakeOver: true,
		Logger:   slog.Default(),
	}
	lis, err := lc.Listen(ctx, pipe)
	if err != nil {
		return err
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	greetpb.RegisterGreeterServer(srv, greeter{})
	healthpb.RegisterHealthServer(srv, health.NewServer())
	defer context.AfterFunc(ctx, func() {
		defer time.AfterFunc(stopTimeout, srv.Stop).Stop()
		srv.GracefulStop()
	})()
	if ready != nil {
		ready()
	}
	err = srv.Serve(lis)
	if errors.Is(err, namedpipe.ErrReplaced) || errors.Is(err, grpc.ErrServerStopped) {
		err = nil // a newer version has the name, or ctx has ended
	}
	srv.GracefulStop()
	return err
}

// end snippet

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(ctx context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	who := "somebody"
	if p, ok := grpcpipe.PeerFromContext(ctx); ok {
		who = p.String()
	}
	return &greetpb.HelloReply{Message: fmt.Sprintf("Hello %s, who is %s", in.Name, who)}, nil
}
