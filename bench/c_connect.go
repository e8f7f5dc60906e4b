package main

import (
	"context"
	"net"
	"net/http"

	"connectrpc.com/connect"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	register(&contender{
		name: "connect-go", about: "connect-go speaking gRPC over the same pipe", network: "pipe",
		serve: func(lis net.Listener) error {
			srv := &http.Server{Handler: connectMux(), Protocols: new(http.Protocols)}
			srv.Protocols.SetUnencryptedHTTP2(true)
			return srv.Serve(lis)
		},
		dial: dialConnect,
	})
}

func connectMux() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/bench.Echo/Echo", connect.NewUnaryHandler("/bench.Echo/Echo",
		func(_ context.Context, r *connect.Request[message]) (*connect.Response[message], error) {
			return connect.NewResponse(r.Msg), nil
		}))
	mux.Handle("/bench.Echo/Receive", connect.NewServerStreamHandler("/bench.Echo/Receive",
		func(_ context.Context, r *connect.Request[message], s *connect.ServerStream[message]) error {
			return give(r.Msg, func(m any) error { return s.Send(m.(*message)) })
		}))
	mux.Handle("/bench.Echo/Send", connect.NewClientStreamHandler("/bench.Echo/Send",
		func(_ context.Context, s *connect.ClientStream[message]) (*connect.Response[message], error) {
			n := 0
			for s.Receive() {
				n++
			}
			return connect.NewResponse(order(0, n)), s.Err()
		}))
	return mux
}

type connectSession struct {
	http    *http.Client
	unary   *connect.Client[message, message]
	outward *connect.Client[message, message]
	inward  *connect.Client[message, message]
}

func dialConnect(addr string) (session, error) {
	tr := &http.Transport{
		Protocols: new(http.Protocols),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return namedpipe.Dial(ctx, addr)
		},
	}
	tr.Protocols.SetUnencryptedHTTP2(true)
	hc := &http.Client{Transport: tr}
	client := func(method string) *connect.Client[message, message] {
		return connect.NewClient[message, message](hc, "http://localhost/bench.Echo/"+method, connect.WithGRPC())
	}
	return &connectSession{hc, client("Echo"), client("Send"), client("Receive")}, nil
}

func (s *connectSession) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

type tags struct{}

func (s *connectSession) echo(ctx context.Context, p []byte) error {
	req := connect.NewRequest(&message{Value: p})
	if ctx.Value(tags{}) != nil {
		for k, v := range someMetadata {
			req.Header()[http.CanonicalHeaderKey(k)] = v
		}
	}
	resp, err := s.unary.CallUnary(ctx, req)
	if err != nil {
		return err
	}
	return sameSize(p, resp.Msg.Value)
}

func (s *connectSession) tagged(ctx context.Context) context.Context {
	return context.WithValue(ctx, tags{}, true)
}

func (s *connectSession) receive(ctx context.Context, size, count int) error {
	st, err := s.inward.CallServerStream(ctx, connect.NewRequest(order(size, count)))
	if err != nil {
		return err
	}
	defer st.Close()
	n := 0
	for st.Receive() {
		n++
	}
	return sameCount(n, count, st.Err())
}

func (s *connectSession) send(ctx context.Context, p []byte, count int) error {
	st := s.outward.CallClientStream(ctx)
	m := &message{Value: p}
	for range count {
		if err := st.Send(m); err != nil {
			return err
		}
	}
	resp, err := st.CloseAndReceive()
	if err != nil {
		return err
	}
	_, n := readOrder(resp.Msg)
	return sameCount(n, count, nil)
}
