// Package fastgrpc is gRPC at the speed of a pipe: a server and a client of our
// own on gRPC's standard wire, for the same generated code. Whoever is at the
// other end, this package, grpc-go, .NET or another, notices no difference.
//
//	srv := fastgrpc.NewServer(fastgrpc.ServerConfig{})
//	greetpb.RegisterGreeterServer(srv, greeter{})
//	err := srv.Serve(lis)
//
//	conn, err := fastgrpc.NewClient("npipe:MyPipe", fastgrpc.ClientConfig{})
//	client := greetpb.NewGreeterClient(conn)
//
// Handlers, interceptors, stats handlers, status errors, metadata, codecs and
// call options are grpc-go's own types. What can't be done from outside of
// grpc-go is refused by an error that names it.
package fastgrpc
