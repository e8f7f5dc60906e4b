package main

import (
	"net"
	"runtime/debug"

	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"

	"github.com/grpcpipe/grpcpipe"
)

func init() {
	c := contender{
		name: ours, about: "this library: ServerOptions and NewClient, nothing else", network: "pipe",
		serve: func(lis net.Listener) error { return serveGRPC(lis, grpcpipe.ServerOptions()...) },
		dial: func(addr string) (session, error) {
			return newGRPC(grpcpipe.NewClient(pipeTarget(addr)))
		},
	}
	register(&c)
	advised := c
	advised.name = "grpcpipe (advice)"
	advised.about = "the same in a program that sets GOGC=400 and grpc's shared pool"
	advised.prepare = func() {
		debug.SetGCPercent(400)
		experimental.SetDefaultBufferPool(newDirtyPool())
	}
	register(&advised)
}

func pipeTarget(addr string) string {
	if addr[0] == '/' {
		return "npipe:" + addr
	}
	return addr
}

var _ grpc.ServerOption = grpc.EmptyServerOption{}

// newDirtyPool is the pool that docs/performance.md advises: powers of two, and
// what comes out of it is not cleared.
func newDirtyPool() mem.BufferPool { return dirtyPool{} }
