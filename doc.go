// Package grpcpipe is gRPC between the processes of one machine, over named
// pipes: Win32 pipes on Windows, and elsewhere the Unix sockets that .NET maps
// pipe names to. Either end may be a .NET program.
//
// A server is any grpc.Server on a namedpipe.Listener:
//
//	lis, err := namedpipe.Listen(ctx, "MyPipe")
//	srv := grpc.NewServer(grpcpipe.ServerOptions()...)
//	pb.RegisterGreeterServer(srv, greeter{})
//	err = srv.Serve(lis)
//
// A client is a grpc.ClientConn like any other:
//
//	conn, err := grpcpipe.NewClient("npipe:MyPipe")
//	defer conn.Close()
//	reply, err := pb.NewGreeterClient(conn).SayHello(ctx, request)
//
// [NewClient] lists the spellings of a target. By default only the current user
// can connect; package namedpipe has the rules for connections, package policy
// those for calls. Nothing leaves the machine.
package grpcpipe
