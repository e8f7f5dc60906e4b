package grpcpipe

import (
	"context"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// streamLimitText is the message for a call whose deadline passed while it waited
// for a stream. grpc's own is "context deadline exceeded", as if the server had
// been slow, which never heard of the call.
const streamLimitText = "context deadline exceeded while waiting for a stream: the server limits the calls under way on one connection " +
	"(Kestrel to 100), the limit was reached, and this call was not sent; end other calls, or open more connections with grpcpipe.WithConnections"

// lastUnary and lastStream come after all interceptors of the caller's. They
// settle the codec of a call and, in the error of one that waited for a stream
// until its deadline, name the server's limit.
func lastUnary(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	opts = settleCodec(opts)
	if !mayWait(ctx) {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	// grpc sets the peer of a call when it has a stream. The full slice
	// expression keeps the caller's array as it is.
	var p peer.Peer
	err := invoke(ctx, method, req, reply, cc, append(opts[:len(opts):len(opts)], grpc.Peer(&p))...)
	return nameLimit(err, cc, &p)
}

func lastStream(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	opts = settleCodec(opts)
	if !mayWait(ctx) {
		return open(ctx, desc, cc, method, opts...)
	}
	s, err := open(ctx, desc, cc, method, opts...)
	if err != nil {
		// Without a stream there is no peer either.
		return nil, nameLimit(err, cc, new(peer.Peer))
	}
	return s, nil
}

// mayWait reports whether the context has a deadline that leaves a call the time
// to wait for a stream. One that is about to pass ends the call before it gets
// that far.
func mayWait(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && time.Until(end) > 5*time.Millisecond
}

// nameLimit replaces the error of a call that met its deadline without a
// stream on a channel that is connected: there, a stream is all that there is
// to wait for.
func nameLimit(err error, cc *grpc.ClientConn, p *peer.Peer) error {
	if err == nil || p.Addr != nil || cc.GetState() != connectivity.Ready {
		return err
	}
	s, ok := status.FromError(err)
	if !ok || s.Code() != codes.DeadlineExceeded || s.Message() != context.DeadlineExceeded.Error() {
		return err
	}
	return status.Error(codes.DeadlineExceeded, streamLimitText)
}
