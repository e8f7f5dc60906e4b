package fastgrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Client interceptors have grpc-go's types and are handed a *grpc.ClientConn. It
// is one that never connects, for those that ask it for the target; calls go on
// to this client whatever they do with it.

// intercept makes the client's interceptors one of each kind.
func (cc *ClientConn) intercept() error {
	if len(cc.cfg.UnaryInterceptors) == 0 && len(cc.cfg.StreamInterceptors) == 0 {
		return nil
	}
	stand, err := grpc.NewClient(cc.text, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		// Not every target of ours is one of grpc-go's.
		stand, err = grpc.NewClient("passthrough:///"+cc.text, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	if err != nil {
		return err
	}
	cc.stand = stand
	if all := cc.cfg.UnaryInterceptors; len(all) > 0 {
		cc.unaryInt = func(ctx context.Context, method string, args, reply any, opts []grpc.CallOption) error {
			last := func(ctx context.Context, method string, args, reply any, _ *grpc.ClientConn, opts ...grpc.CallOption) error {
				return cc.invoke(ctx, method, args, reply, opts)
			}
			return all[0](ctx, method, args, reply, stand, nextInvoker(all, 1, last), opts...)
		}
	}
	if all := cc.cfg.StreamInterceptors; len(all) > 0 {
		cc.streamInt = func(ctx context.Context, desc *grpc.StreamDesc, method string, opts []grpc.CallOption) (grpc.ClientStream, error) {
			last := func(ctx context.Context, desc *grpc.StreamDesc, _ *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
				return cc.newStream(ctx, desc, method, opts)
			}
			return all[0](ctx, desc, stand, method, nextStreamer(all, 1, last), opts...)
		}
	}
	return nil
}

func nextInvoker(all []grpc.UnaryClientInterceptor, i int, last grpc.UnaryInvoker) grpc.UnaryInvoker {
	if i == len(all) {
		return last
	}
	return func(ctx context.Context, method string, args, reply any, cc *grpc.ClientConn, opts ...grpc.CallOption) error {
		return all[i](ctx, method, args, reply, cc, nextInvoker(all, i+1, last), opts...)
	}
}

func nextStreamer(all []grpc.StreamClientInterceptor, i int, last grpc.Streamer) grpc.Streamer {
	if i == len(all) {
		return last
	}
	return func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
		return all[i](ctx, desc, cc, method, nextStreamer(all, i+1, last), opts...)
	}
}
