package grpcpipe

import (
	"context"
	"fmt"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// WithDialer makes a channel of NewClient open its pipes with d: to trust servers
// of other users (d.Server), or to let the server act as this process
// (d.ImpersonationLevel). d must not be changed afterwards. It is for targets that
// name pipes; with any other target every attempt to connect fails.
func WithDialer(d *namedpipe.Dialer) grpc.DialOption {
	return grpc.WithContextDialer(func(ctx context.Context, addr string) (net.Conn, error) {
		info := credentials.ClientHandshakeInfoFromContext(ctx)
		ch, ok := info.Attributes.Value(channelKey{}).(*channel)
		if !ok {
			return nil, fmt.Errorf("grpcpipe: WithDialer is for pipes, and %q is not one: make the channel with grpcpipe.NewClient and a target such as npipe:MyPipe", addr)
		}
		return ch.dialWith(ctx, addr, d)
	})
}

// channelKey is the key of the channel in its addresses' attributes. With it the
// dialer of an option finds the channel that it dials for.
type channelKey struct{}

// dial opens a pipe with the zero dialer.
func (ch *channel) dial(ctx context.Context, addr string) (net.Conn, error) {
	return ch.dialWith(ctx, addr, &namedpipe.Dialer{})
}

func (ch *channel) dialWith(ctx context.Context, addr string, d *namedpipe.Dialer) (net.Conn, error) {
	c, err := ch.pipes.Dial(ctx, ch.pathOf(addr), d)
	if err != nil {
		return nil, err
	}
	return creds.NewClientConn(ctx, c, ch.target.TLS, !d.Server.Anyone), nil
}
