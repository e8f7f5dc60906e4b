package grpcpipe_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A server is any grpc.Server on a listener of package namedpipe.
func ExampleServerOptions() {
	lis, err := namedpipe.Listen(context.Background(), "ExampleServer")
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	healthpb.RegisterHealthServer(srv, health.NewServer()) // your service here
	go srv.Serve(lis)
	defer srv.Stop()

	fmt.Println(checkHealth("ExampleServer"))
	// Output: SERVING <nil>
}

// A client is a grpc.ClientConn.
func ExampleNewClient() {
	stop := startHealthServer("ExampleClient")
	defer stop()

	conn, err := grpcpipe.NewClient("npipe:ExampleClient")
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	reply, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})

	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}

// Calls go to both servers in turn, and to the one that is left when the other
// one dies.
func ExampleNewClient_severalPipes() {
	defer startHealthServer("ExampleBlue")()
	defer startHealthServer("ExampleGreen")()

	conn, err := grpcpipe.NewClient("npipe:ExampleBlue,ExampleGreen",
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	reply, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{}, grpc.WaitForReady(true))

	fmt.Println(reply.GetStatus(), err)
	// Output: SERVING <nil>
}

// Package net/http needs nothing but the listener and the dialer: HTTP/1.1 and,
// with UnencryptedHTTP2, HTTP/2 without TLS.
func Example_netHTTP() {
	lis, err := namedpipe.Listen(context.Background(), "ExampleHTTP")
	if err != nil {
		log.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	srv := &http.Server{
		Protocols: protocols,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %s from %s", r.Method, r.URL.Path, r.Host)
		}),
	}
	go srv.Serve(lis)
	defer srv.Close()

	for _, http2 := range []bool{false, true} {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(!http2)
		protocols.SetUnencryptedHTTP2(http2)
		transport := &http.Transport{
			Protocols: protocols,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return namedpipe.Dial(ctx, "ExampleHTTP")
			},
		}
		client := &http.Client{Transport: transport}
		resp, err := client.Get("http://localhost/hello")
		if err != nil {
			log.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		transport.CloseIdleConnections()
		fmt.Println(resp.Proto, string(body), err)
	}
	// Output:
	// HTTP/1.1 GET /hello from localhost <nil>
	// HTTP/2.0 GET /hello from localhost <nil>
}

// startHealthServer starts a server for an example and returns what stops it.
func startHealthServer(name string) (stop func()) {
	lis, err := namedpipe.Listen(context.Background(), name)
	if err != nil {
		log.Fatal(err)
	}
	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
	healthpb.RegisterHealthServer(srv, health.NewServer())
	go srv.Serve(lis)
	return srv.Stop
}

// checkHealth makes one call.
func checkHealth(name string) (healthpb.HealthCheckResponse_ServingStatus, error) {
	conn, err := grpcpipe.NewClient(name)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	reply, err := healthpb.NewHealthClient(conn).Check(context.Background(), &healthpb.HealthCheckRequest{})
	return reply.GetStatus(), err
}
