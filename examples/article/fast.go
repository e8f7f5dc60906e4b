package article

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// ServeFast is Serve on package fastgrpc.
func ServeFast(ctx context.Context, name string, started func(*fastgrpc.Server)) error {
	lis, err := namedpipe.Listen(ctx, name)
	if err != nil {
		return err
	}
	srv := fastgrpc.NewServer(fastgrpc.ServerConfig{})
	greetpb.RegisterGreeterServer(srv, greeter{})
	started(srv)
	return srv.Serve(lis)
}

// NewFastClient is NewClient and NewPingingClient in one, on package fastgrpc.
func NewFastClient(name string) (*fastgrpc.ClientConn, error) {
	// snippet: fast-client
	return fastgrpc.NewClient("npipe:"+name, fastgrpc.ClientConfig{
		CallOptions: []grpc.CallOption{
			grpc.MaxCallRecvMsgSize(64 << 20),
			grpc.MaxCallSendMsgSize(64 << 20),
		},
		KeepAlive: keepalive.ClientParameters{
			Time:                time.Minute,
			Timeout:             10 * time.Second,
			PermitWithoutStream: true,
		},
	})
	// end snippet
}
