package grpcpipe

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// builderKey is the key of a channel's builder in its addresses' attributes. With
// it the dialer of an option finds the channel that it dials for.
type builderKey struct{}

// WithDialer makes a channel of NewClient open its pipes with d: to trust servers
// of other users (d.Server), or to let the server act as this process
// (d.ImpersonationLevel). d must not be changed afterwards. It is for targets that
// name pipes; with any other target every attempt to connect fails.
func WithDialer(d *namedpipe.Dialer) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, path string) (net.Conn, error) {
		info := credentials.ClientHandshakeInfoFromContext(ctx)
		b, ok := info.Attributes.Value(builderKey{}).(*builder)
		if !ok {
			return nil, fmt.Errorf("grpcpipe: WithDialer is for pipes, and %q is not one: make the channel with grpcpipe.NewClient and a target such as npipe:MyPipe", path)
		}
		return b.dialWith(ctx, path, d)
	})
}
