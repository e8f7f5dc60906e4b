package grpcpipe

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/keepalive"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
)

const (
	// pingInterval is the time between a client's pings that is always allowed.
	// .NET clients can be set to ping every second, and grpc's own limit is five
	// minutes. Half of 500 ms leaves room for pings that a busy machine delivers
	// in a bunch.
	pingInterval = 250 * time.Millisecond
	// maxStreams bounds the goroutines that one connection can start. It is ten
	// times the minimum that HTTP/2 recommends and Kestrel allows: a .NET client
	// opens another connection whenever it is reached.
	maxStreams = 1000
	// streamWorkers is the number of goroutines that wait for calls. A new
	// goroutine has to grow its stack for each call, which is an eighth of what
	// a small call costs the server. Calls beyond this number get new ones.
	streamWorkers = 64
	// handshakeTimeout bounds the time from Accept to the HTTP/2 preface.
	handshakeTimeout = 10 * time.Second
)

// ServerOptions returns options that suit a grpc.Server on pipes. They are
// recommended, not required. Options that follow them override them:
//
//	srv := grpc.NewServer(append(grpcpipe.ServerOptions(), more...)...)
//
// They are:
//
//   - The credentials of [NewCredentials]. With them, off Windows, an idle
//     connection holds no read buffer.
//   - Clients may send pings every 250 ms, with or without calls under way.
//   - A client may have 1000 calls under way on one connection.
//   - A client must send its HTTP/2 preface within 10 s.
//   - Flow-control windows are 8 MiB per stream and 64 MiB per connection: what a
//     client can make the process keep in memory for a handler that stops reading.
//   - 64 goroutines wait for calls, from NewServer to Stop, so that even a server
//     that never serves must be stopped. Further calls get new goroutines.
//
// The maximum message size is grpc's: 4 MiB. For a server that speaks only
// protobuf add [ProtobufOnly].
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
