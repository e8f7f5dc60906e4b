// Package connect tests connect-go over pipes. It has a module of its own so
// that connect-go is no dependency of grpcpipe.
package connect

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

const procedure = "/greet.Greeter/SayHello"

func hello(_ context.Context, in *connect.Request[greetpb.HelloRequest]) (*connect.Response[greetpb.HelloReply], error) {
	return connect.NewResponse(&greetpb.HelloReply{Message: "Hello " + in.Msg.GetName()}), nil
}

func TestConnect(t *testing.T) {
	seen.Row(t, "connect-go")
	pipe := "gp-connect-" + time.Now().Format("150405.000000000")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	lis, err := namedpipe.Listen(ctx, pipe)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle(procedure, connect.NewUnaryHandler(procedure, hello))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s := &http.Server{Handler: mux, Protocols: protocols}
	t.Cleanup(func() { s.Close() })
	go s.Serve(lis) // ends with Close

	for name, tt := range map[string]struct {
		http2 bool
		opts  []connect.ClientOption
	}{
		"connect over HTTP/1.1": {false, nil},
		"connect over HTTP/2":   {true, nil},
		"gRPC":                  {true, []connect.ClientOption{connect.WithGRPC()}},
		"gRPC-Web":              {false, []connect.ClientOption{connect.WithGRPCWeb()}},
	} {
		t.Run(name, func(t *testing.T) {
			protocols := new(http.Protocols)
			protocols.SetHTTP1(!tt.http2)
			protocols.SetUnencryptedHTTP2(tt.http2)
			transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return namedpipe.Dial(ctx, pipe)
			}}
			t.Cleanup(transport.CloseIdleConnections)
			c := connect.NewClient[greetpb.HelloRequest, greetpb.HelloReply](&http.Client{Transport: transport}, "http://localhost"+procedure, tt.opts...)
			reply, err := c.CallUnary(ctx, connect.NewRequest(&greetpb.HelloRequest{Name: "World"}))
			if err != nil || reply.Msg.GetMessage() != "Hello World" {
				t.Errorf("got %v, %v", reply, err)
			}
		})
	}
	t.Run("grpcpipe", func(t *testing.T) {
		cc, err := grpcpipe.NewClient(pipe)
		if err != nil {
			t.Fatal(err)
		}
		defer cc.Close()
		reply, err := greetpb.NewGreeterClient(cc).SayHello(ctx, &greetpb.HelloRequest{Name: "World"})
		if err != nil || reply.GetMessage() != "Hello World" {
			t.Errorf("got %v, %v", reply, err)
		}
	})
}
