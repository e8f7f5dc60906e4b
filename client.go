package grpcpipe

import (
	"context"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// NewClient is a placeholder that speaks to bare names only.
func NewClient(target string, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	dial := func(ctx context.Context, _ string) (net.Conn, error) { return namedpipe.Dial(ctx, target) }
	return grpc.NewClient("passthrough:///localhost", append([]grpc.DialOption{
		grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()),
	}, opts...)...)
}

// ServerOptions is a placeholder.
func ServerOptions() []grpc.ServerOption { return nil }
