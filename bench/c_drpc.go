package main

import (
	"context"
	"net"

	"google.golang.org/protobuf/proto"
	"storj.io/drpc"
	"storj.io/drpc/drpcconn"
	"storj.io/drpc/drpcmetadata"
	"storj.io/drpc/drpcmux"
	"storj.io/drpc/drpcserver"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	register(&contender{
		name: "drpc", about: "Storj's own RPC over the same pipe, a connection for each call in flight", network: "pipe",
		serve: func(lis net.Listener) error {
			mux := drpcmux.New()
			if err := mux.Register(drpcEcho{}, drpcService{}); err != nil {
				return err
			}
			return drpcserver.New(mux).Serve(context.Background(), lis)
		},
		dial: func(addr string) (session, error) {
			c, err := namedpipe.Dial(context.Background(), addr)
			if err != nil {
				return nil, err
			}
			return drpcSession{drpcconn.New(c)}, nil
		},
	})
}

type drpcEncoding struct{}

func (drpcEncoding) Marshal(m drpc.Message) ([]byte, error) { return proto.Marshal(m.(proto.Message)) }
func (drpcEncoding) Unmarshal(b []byte, m drpc.Message) error {
	return proto.Unmarshal(b, m.(proto.Message))
}

// A drpcStream has the methods of gRPC's.
type drpcStream struct{ drpc.Stream }

func (s drpcStream) SendMsg(m any) error { return s.MsgSend(m, drpcEncoding{}) }
func (s drpcStream) RecvMsg(m any) error { return s.MsgRecv(m, drpcEncoding{}) }

type drpcEcho struct{}

func (drpcEcho) Echo(_ context.Context, m *message) (*message, error) { return m, nil }

func (drpcEcho) Receive(m *message, s drpc.Stream) error {
	return give(m, drpcStream{s}.SendMsg)
}

func (drpcEcho) Send(s drpc.Stream) error {
	n, err := take(drpcStream{s}.RecvMsg)
	if err != nil {
		return err
	}
	return s.MsgSend(order(0, n), drpcEncoding{})
}

type drpcService struct{}

func (drpcService) NumMethods() int { return 3 }

func (drpcService) Method(n int) (string, drpc.Encoding, drpc.Receiver, any, bool) {
	switch n {
	case 0:
		return "/bench.Echo/Echo", drpcEncoding{}, func(srv any, ctx context.Context, in, _ any) (drpc.Message, error) {
			return srv.(drpcEcho).Echo(ctx, in.(*message))
		}, drpcEcho.Echo, true
	case 1:
		return "/bench.Echo/Receive", drpcEncoding{}, func(srv any, _ context.Context, in, s any) (drpc.Message, error) {
			return nil, srv.(drpcEcho).Receive(in.(*message), s.(drpc.Stream))
		}, drpcEcho.Receive, true
	case 2:
		return "/bench.Echo/Send", drpcEncoding{}, func(srv any, _ context.Context, s, _ any) (drpc.Message, error) {
			return nil, srv.(drpcEcho).Send(s.(drpc.Stream))
		}, drpcEcho.Send, true
	}
	return "", nil, nil, nil, false
}

type drpcSession struct{ *drpcconn.Conn }

// single: a connection of drpc carries one call at a time.
func (drpcSession) single() {}

func (s drpcSession) echo(ctx context.Context, p []byte) error {
	in, out := message{Value: p}, message{}
	if err := s.Invoke(ctx, "/bench.Echo/Echo", drpcEncoding{}, &in, &out); err != nil {
		return err
	}
	return sameSize(p, out.Value)
}

func (s drpcSession) receive(ctx context.Context, size, count int) error {
	st, err := s.NewStream(ctx, "/bench.Echo/Receive", drpcEncoding{})
	if err != nil {
		return err
	}
	defer st.Close()
	if err := st.MsgSend(order(size, count), drpcEncoding{}); err != nil {
		return err
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	n, err := take(drpcStream{st}.RecvMsg)
	return sameCount(n, count, err)
}

func (s drpcSession) send(ctx context.Context, p []byte, count int) error {
	st, err := s.NewStream(ctx, "/bench.Echo/Send", drpcEncoding{})
	if err != nil {
		return err
	}
	defer st.Close()
	return upload(drpcStream{st}, p, count)
}

func (s drpcSession) tagged(ctx context.Context) context.Context {
	for k, v := range someMetadata {
		ctx = drpcmetadata.Add(ctx, k, v[0])
	}
	return ctx
}
