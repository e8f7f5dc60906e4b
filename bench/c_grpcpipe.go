package main

import (
	"net"
	"runtime/debug"

	"google.golang.org/grpc/experimental"

	"github.com/grpcpipe/grpcpipe"
)

func init() {
	c := contender{
		name: ours, about: "this library: ServerOptions with ProtobufOnly, and NewClient", network: "pipe",
		serve: func(lis net.Listener) error {
			return serveGRPC(lis, append(grpcpipe.ServerOptions(), grpcpipe.ProtobufOnly())...)
		},
		dial: func(addr string) (session, error) {
			return newGRPC(grpcpipe.NewClient(pipeTarget(addr)))
		},
	}
	register(&c)
	plain := c
	plain.name = "grpcpipe (any codec)"
	plain.about = "the same without ProtobufOnly"
	plain.serve = func(lis net.Listener) error { return serveGRPC(lis, grpcpipe.ServerOptions()...) }
	register(&plain)
	advised := c
	advised.name = "grpcpipe (advice)"
	advised.about = "grpcpipe in a program that sets GOGC=400 and a shared pool for all of grpc"
	advised.prepare = func() {
		debug.SetGCPercent(400)
		experimental.SetDefaultBufferPool(dirtyPool{})
	}
	register(&advised)
}

func pipeTarget(addr string) string {
	if addr[0] == '/' {
		return "npipe:" + addr
	}
	return addr
}
