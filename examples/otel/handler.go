// Package otel shows how to trace and measure calls over pipes with OpenTelemetry,
// with attributes for the process and user at the other end. Its handlers work
// with grpc-go and with package fastgrpc. It is a separate module, so that the
// library doesn't depend on OpenTelemetry.
package otel

import (
	"context"
	"runtime"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// Attributes without a convention: whether the system vouches for the span's user
// and process.
const (
	UserProvenKey    = attribute.Key("grpcpipe.user.proven")
	ProcessProvenKey = attribute.Key("grpcpipe.process.proven")
)

// NewServerHandler returns otelgrpc's handler for a server, for grpc.StatsHandler
// or fastgrpc.ServerConfig.StatsHandlers. The spans identify the caller.
func NewServerHandler(opts ...otelgrpc.Option) stats.Handler {
	return server{otelgrpc.NewServerHandler(withTransport(opts)...)}
}

// NewClientHandler returns otelgrpc's handler for a client, for
// grpc.WithStatsHandler or fastgrpc.ClientConfig.StatsHandlers. The spans identify
// the server.
func NewClientHandler(opts ...otelgrpc.Option) stats.Handler {
	return client{otelgrpc.NewClientHandler(withTransport(opts)...)}
}

// withTransport adds the transport to the metrics. Users and processes would make
// too many series there.
func withTransport(opts []otelgrpc.Option) []otelgrpc.Option {
	return append([]otelgrpc.Option{otelgrpc.WithMetricAttributes(transport())}, opts...)
}

// transport is what carries the calls: a Windows pipe, or elsewhere a Unix socket.
func transport() attribute.KeyValue {
	if runtime.GOOS == "windows" {
		return semconv.NetworkTransportPipe
	}
	return semconv.NetworkTransportUnix
}

type server struct{ stats.Handler }

func (h server) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	ctx = h.Handler.TagRPC(ctx, info)
	describe(ctx, func(p *namedpipe.Peer) []attribute.KeyValue {
		if !p.UserProven {
			return nil
		}
		return []attribute.KeyValue{semconv.EnduserID(p.User.ID)}
	})
	return ctx
}

type client struct{ stats.Handler }

func (h client) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, sent := s.(*stats.OutHeader); sent { // from now on the connection is known
		describe(ctx, nil)
	}
	h.Handler.HandleRPC(ctx, s)
}

// describe adds what the connection tells of the other end to the call's span, and
// what more returns, if anything.
func describe(ctx context.Context, more func(*namedpipe.Peer) []attribute.KeyValue) {
	span := trace.SpanFromContext(ctx)
	conn, ok := peer.FromContext(ctx)
	if !ok || !span.IsRecording() {
		return
	}
	if _, ok := conn.Addr.(*namedpipe.Addr); ok {
		span.SetAttributes(transport(), semconv.NetworkPeerAddress(conn.Addr.String()))
	}
	p, ok := grpcpipe.PeerFromContext(ctx)
	if !ok {
		return
	}
	attrs := []attribute.KeyValue{UserProvenKey.Bool(p.UserProven), ProcessProvenKey.Bool(p.PIDProven)}
	if p.UserProven {
		attrs = append(attrs, semconv.UserID(p.User.ID), semconv.UserName(p.User.Name))
	}
	if p.PID != 0 {
		attrs = append(attrs, semconv.ProcessPID(p.PID))
	}
	if p.Executable != "" {
		attrs = append(attrs, semconv.ProcessExecutablePath(p.Executable))
	}
	if more != nil {
		attrs = append(attrs, more(p)...)
	}
	span.SetAttributes(attrs...)
}
