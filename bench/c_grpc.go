package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// A message is what all contenders with protobuf carry.
type message = wrapperspb.BytesValue

func init() {
	for _, c := range []struct{ name, network, about string }{
		{stock, stockNetwork, "grpc-go without options, on " + stockNetwork},
		{stockAgain, stockNetwork, "the same once more: what it differs by is noise"},
		{"grpc-go (tcp)", "tcp", "grpc-go without options, on TCP loopback"},
	} {
		if c.name != stock && c.name != stockAgain && c.network == stockNetwork {
			continue // the same as stock here
		}
		register(&contender{
			name: c.name, about: c.about, network: c.network,
			serve: func(lis net.Listener) error { return serveGRPC(lis) },
			dial:  func(addr string) (session, error) { return dialStock(c.network, addr) },
		})
	}
}

func dialStock(network, addr string) (session, error) {
	if network == "unix" {
		addr = "unix:" + addr
	}
	return newGRPC(grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials())))
}

func serveGRPC(lis net.Listener, opts ...grpc.ServerOption) error {
	srv := grpc.NewServer(opts...)
	srv.RegisterService(&echoService, struct{}{})
	return srv.Serve(lis)
}

// echoService is not generated: its message has one field, so that every contender
// encodes the same bytes.
var echoService = grpc.ServiceDesc{
	ServiceName: "bench.Echo",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		{MethodName: "Echo", Handler: handleEcho},
		{MethodName: "Blocks", Handler: func(srv any, ctx context.Context, dec func(any) error, in grpc.UnaryServerInterceptor) (any, error) {
			if blockCount.Add(1)%1000 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
			return handleEcho(srv, ctx, dec, in)
		}},
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "Receive", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			m := new(message)
			if err := s.RecvMsg(m); err != nil {
				return err
			}
			return give(m, s.SendMsg)
		}},
		{StreamName: "Send", ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			n, err := take(s.RecvMsg)
			if err != nil {
				return err
			}
			return s.SendMsg(order(0, n))
		}},
		{StreamName: "Chat", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			for {
				m := new(message)
				if err := s.RecvMsg(m); err == io.EOF {
					return nil
				} else if err != nil {
					return err
				}
				if err := s.SendMsg(m); err != nil {
					return err
				}
			}
		}},
	},
}

func handleEcho(_ any, ctx context.Context, dec func(any) error, in grpc.UnaryServerInterceptor) (any, error) {
	m := new(message)
	if err := dec(m); err != nil {
		return nil, err
	}
	if in == nil {
		return m, nil
	}
	return in(ctx, m, &grpc.UnaryServerInfo{FullMethod: "/bench.Echo/Echo"},
		func(_ context.Context, req any) (any, error) { return req, nil })
}

var blockCount atomic.Int64

// order returns the request for count messages of the given size.
func order(size, count int) *message {
	b := binary.LittleEndian.AppendUint32(nil, uint32(size))
	return &message{Value: binary.LittleEndian.AppendUint32(b, uint32(count))}
}

func readOrder(m *message) (size, count int) {
	if len(m.Value) < 8 {
		return 0, 0
	}
	return int(binary.LittleEndian.Uint32(m.Value)), int(binary.LittleEndian.Uint32(m.Value[4:]))
}

// give sends the messages that an order requests.
func give(m *message, send func(any) error) error {
	size, count := readOrder(m)
	out := &message{Value: make([]byte, size)}
	for range count {
		if err := send(out); err != nil {
			return err
		}
	}
	return nil
}

// take counts messages up to the end of the stream.
func take(recv func(any) error) (n int, err error) {
	for ; ; n++ {
		switch err := recv(new(message)); err {
		case nil:
		case io.EOF:
			return n, nil
		default:
			return n, err
		}
	}
}

// upload sends count messages on a stream and waits until all have arrived.
func upload(st interface {
	SendMsg(any) error
	RecvMsg(any) error
	CloseSend() error
}, p []byte, count int) error {
	if err := give(order(len(p), count), st.SendMsg); err != nil {
		return err
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	var sum message
	err := st.RecvMsg(&sum)
	_, n := readOrder(&sum)
	return sameCount(n, count, err)
}

type grpcSession struct {
	*grpc.ClientConn
	anyGRPC
}

// anyGRPC makes the calls of any implementation of gRPC.
type anyGRPC struct{ conn grpc.ClientConnInterface }

func newGRPC(cc *grpc.ClientConn, err error) (session, error) {
	if err != nil {
		return nil, err
	}
	return grpcSession{cc, anyGRPC{cc}}, nil
}

func (s anyGRPC) echo(ctx context.Context, p []byte) error {
	return s.call(ctx, "/bench.Echo/Echo", p)
}

func (s anyGRPC) blocks(ctx context.Context, p []byte) error {
	return s.call(ctx, "/bench.Echo/Blocks", p)
}

func (s anyGRPC) call(ctx context.Context, method string, p []byte) error {
	in, out := message{Value: p}, message{}
	if err := s.conn.Invoke(ctx, method, &in, &out); err != nil {
		return err
	}
	return sameSize(p, out.Value)
}

var (
	receiveDesc = &grpc.StreamDesc{ServerStreams: true}
	sendDesc    = &grpc.StreamDesc{ClientStreams: true}
	chatDesc    = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
)

func (s anyGRPC) receive(ctx context.Context, size, count int) error {
	st, err := s.conn.NewStream(ctx, receiveDesc, "/bench.Echo/Receive")
	if err != nil {
		return err
	}
	if err := st.SendMsg(order(size, count)); err != nil {
		return err
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	n, err := take(st.RecvMsg)
	return sameCount(n, count, err)
}

func (s anyGRPC) send(ctx context.Context, p []byte, count int) error {
	st, err := s.conn.NewStream(ctx, sendDesc, "/bench.Echo/Send")
	if err != nil {
		return err
	}
	return upload(st, p, count)
}

func (s anyGRPC) chat(ctx context.Context, p []byte, count int) error {
	st, err := s.conn.NewStream(ctx, chatDesc, "/bench.Echo/Chat")
	if err != nil {
		return err
	}
	in := &message{Value: p}
	for range count {
		if err := st.SendMsg(in); err != nil {
			return err
		}
		var out message
		if err := st.RecvMsg(&out); err != nil {
			return err
		}
		if err := sameSize(p, out.Value); err != nil {
			return err
		}
	}
	if err := st.CloseSend(); err != nil {
		return err
	}
	if err := st.RecvMsg(new(message)); err != io.EOF {
		return fmt.Errorf("at the end of the stream: %w", err)
	}
	return nil
}

func (s anyGRPC) tagged(ctx context.Context) context.Context {
	return metadata.NewOutgoingContext(ctx, someMetadata)
}

var someMetadata = metadata.Pairs("trace-id", "4bf92f3577b34da6a3ce929d0e0e4736", "user", "benchmark")
