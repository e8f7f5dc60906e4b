// Package connect tests connect-go over pipes. It has a module of its own so
// that connect-go is no dependency of grpcpipe.
package connect

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

const procedure = "/greet.Greeter/SayHello"

func hello(_ context.Context, in *connect.Request[greetpb.HelloRequest]) (*connect.Response[greetpb.HelloReply], error) {
	return connect.NewResponse(&greetpb.HelloReply{Message: "Hello " + in.Msg.GetName()}), nil
}

func TestConnect(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		seen.RowOf(t, "connect-go", e.Name)
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
		defer cancel()
		mux := http.NewServeMux()
		mux.Handle(procedure, connect.NewUnaryHandler(procedure, hello))
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		protocols.SetUnencryptedHTTP2(true)
		web := &http.Server{Handler: mux, Protocols: protocols}
		t.Cleanup(func() { web.Close() })
		theirs := serve(t, web)
		srv := e.NewTestServer(fastgrpc.ServerConfig{})
		t.Cleanup(srv.Stop)
		ours := serve(t, srv)

		for name, tt := range map[string]struct {
			pipe  string
			http2 bool
			opts  []connect.ClientOption
		}{
			"connect over HTTP/1.1": {theirs, false, nil},
			"connect over HTTP/2":   {theirs, true, nil},
			"gRPC":                  {theirs, true, []connect.ClientOption{connect.WithGRPC()}},
			"gRPC-Web":              {theirs, false, []connect.ClientOption{connect.WithGRPCWeb()}},
			"gRPC to our server":    {ours, true, []connect.ClientOption{connect.WithGRPC()}},
		} {
			t.Run(name, func(t *testing.T) {
				protocols := new(http.Protocols)
				protocols.SetHTTP1(!tt.http2)
				protocols.SetUnencryptedHTTP2(tt.http2)
				transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					return namedpipe.Dial(ctx, tt.pipe)
				}}
				t.Cleanup(transport.CloseIdleConnections)
				c := connect.NewClient[greetpb.HelloRequest, greetpb.HelloReply](&http.Client{Transport: transport}, "http://localhost"+procedure, tt.opts...)
				reply, err := c.CallUnary(ctx, connect.NewRequest(&greetpb.HelloRequest{Name: "World"}))
				if err != nil || reply.Msg.GetMessage() != "Hello World" {
					t.Errorf("got %v, %v", reply, err)
				}
			})
		}
		t.Run("our client", func(t *testing.T) {
			cc, err := e.NewClient(theirs, fastgrpc.ClientConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			reply, err := greetpb.NewGreeterClient(cc).SayHello(ctx, &greetpb.HelloRequest{Name: "World"})
			if err != nil || reply.GetMessage() != "Hello World" {
				t.Errorf("got %v, %v", reply, err)
			}
		})
	})
}

// serve serves on a pipe of its own until the server is closed.
func serve(t *testing.T, s interface{ Serve(net.Listener) error }) (pipe string) {
	t.Helper()
	pipe = "gp-connect-" + rand.Text()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(lis)
	return pipe
}
