package main

import (
	"net"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

func init() {
	serve := func(lis net.Listener) error {
		srv := fastgrpc.NewServer(fastgrpc.ServerConfig{})
		srv.RegisterService(&echoService, struct{}{})
		return srv.Serve(lis)
	}
	dial := func(addr string) (session, error) {
		cc, err := fastgrpc.NewClient(pipeTarget(addr), fastgrpc.ClientConfig{})
		if err != nil {
			return nil, err
		}
		return fastSession{cc, anyGRPC{cc}}, nil
	}
	register(&contender{
		name: engineName, about: "this library's own engine at both ends, package fastgrpc", network: "pipe",
		serve: serve, dial: dial,
	})
	register(&contender{
		name: "fastgrpc client", about: "package fastgrpc's client, grpc-go's server without options", network: "pipe",
		serve: func(lis net.Listener) error { return serveGRPC(lis) }, dial: dial,
	})
	if stockNetwork != "unix" {
		return // stock has no pipes
	}
	register(&contender{
		name: "fastgrpc server", about: "package fastgrpc's server, grpc-go's client without options", network: stockNetwork,
		serve: serve,
		dial:  func(addr string) (session, error) { return dialStock(stockNetwork, addr) },
	})
}

type fastSession struct {
	*fastgrpc.ClientConn
	anyGRPC
}

func (s fastSession) Close() error { return s.ClientConn.Close() }
