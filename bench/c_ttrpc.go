package main

import (
	"context"
	"net"

	"github.com/containerd/ttrpc"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	register(&contender{
		name: "ttrpc", about: "containerd's own RPC over the same pipe", network: "pipe",
		serve: func(lis net.Listener) error {
			srv, err := ttrpc.NewServer()
			if err != nil {
				return err
			}
			srv.RegisterService("bench.Echo", &ttrpcService)
			return srv.Serve(context.Background(), lis)
		},
		dial: func(addr string) (session, error) {
			c, err := namedpipe.Dial(context.Background(), addr)
			if err != nil {
				return nil, err
			}
			return ttrpcSession{ttrpc.NewClient(c)}, nil
		},
	})
}

var ttrpcService = ttrpc.ServiceDesc{
	Methods: map[string]ttrpc.Method{
		"Echo": func(_ context.Context, unmarshal func(any) error) (any, error) {
			m := new(message)
			if err := unmarshal(m); err != nil {
				return nil, err
			}
			return m, nil
		},
	},
	Streams: map[string]ttrpc.Stream{
		"Receive": {StreamingServer: true, Handler: func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			m := new(message)
			if err := s.RecvMsg(m); err != nil {
				return nil, err
			}
			return nil, give(m, s.SendMsg)
		}},
		"Send": {StreamingClient: true, Handler: func(_ context.Context, s ttrpc.StreamServer) (any, error) {
			n, err := take(s.RecvMsg)
			return order(0, n), err
		}},
	},
}

type ttrpcSession struct{ *ttrpc.Client }

func (s ttrpcSession) echo(ctx context.Context, p []byte) error {
	in, out := message{Value: p}, message{}
	if err := s.Call(ctx, "bench.Echo", "Echo", &in, &out); err != nil {
		return err
	}
	return sameSize(p, out.Value)
}

func (s ttrpcSession) receive(ctx context.Context, size, count int) error {
	st, err := s.NewStream(ctx, &ttrpc.StreamDesc{StreamingServer: true}, "bench.Echo", "Receive", order(size, count))
	if err != nil {
		return err
	}
	n, err := take(st.RecvMsg)
	return sameCount(n, count, err)
}

func (s ttrpcSession) send(ctx context.Context, p []byte, count int) error {
	st, err := s.NewStream(ctx, &ttrpc.StreamDesc{StreamingClient: true}, "bench.Echo", "Send", nil)
	if err != nil {
		return err
	}
	return upload(st, p, count)
}

func (s ttrpcSession) tagged(ctx context.Context) context.Context {
	return ttrpc.WithMetadata(ctx, ttrpc.MD(someMetadata))
}
