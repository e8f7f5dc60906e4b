package grpcpipe

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
)

const (
	// pingInterval is the shortest time between a client's pings that is never
	// punished. .NET clients may be set to ping every second and grpc's own
	// limit is five minutes; half of 500 ms leaves room for pings that a busy
	// machine delivers in a bunch.
	pingInterval = 250 * time.Millisecond
	// maxStreams bounds the goroutines that one connection can ask for. It is
	// ten times what HTTP/2 recommends as the least and what Kestrel allows:
	// a .NET client opens one more connection whenever it is reached.
	maxStreams = 1000
	// streamWorkers is the number of goroutines that wait for calls. A new
	// goroutine grows its stack anew for each call, an eighth of what a small
	// call costs the server. Calls beyond this number get new ones.
	streamWorkers = 64
	// handshakeTimeout is what a client has from Accept to its HTTP/2 preface.
	handshakeTimeout = 10 * time.Second
)

// ServerOptions returns the options that make a grpc.Server fit for pipes. They
// are a recommendation, not a need: a server without them works. Options that
// the caller puts after them win.
//
//	srv := grpc.NewServer(append(grpcpipe.ServerOptions(), more...)...)
//
// They let clients ping every 250 ms, with or without calls under way; allow
// 1000 calls at a time on a connection; cut a client that has not sent its
// HTTP/2 preface after 10 s; set static windows of 8 MiB a stream and 64 MiB a
// connection, which is what a client can make a handler that stands still keep
// in memory; keep 64 goroutines for calls, from NewServer to Stop, so that a
// server that is made must be stopped; and install the credentials of
// NewCredentials, with which, off Windows, an idle connection holds no read
// buffer. The largest message stays grpc's: 4 MiB. A server that speaks nothing
// but protobuf does well to add [ProtobufOnly].
//
// Each call returns a new slice.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(NewCredentials(nil)),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{
			MinTime:             pingInterval,
			PermitWithoutStream: true,
		}),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.StaticStreamWindowSize(streamWindow),
		grpc.StaticConnWindowSize(connWindow),
		grpc.ReadBufferSize(readBuffer()),
		grpc.WriteBufferSize(ioBuffer),
		experimental.BufferPool(bufpool.Shared),
		grpc.NumStreamWorkers(streamWorkers),
	}
}
