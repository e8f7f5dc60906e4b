// Package otel shows how to put who called, as the pipe tells it, into
// OpenTelemetry's spans. It is a module of its own: the library knows nothing of
// OpenTelemetry.
package otel

import (
	"context"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe"
)

// ServerOptions returns options for grpc.NewServer that trace every call, with
// the caller in the attributes of its span.
func ServerOptions(opts ...otelgrpc.Option) []grpc.ServerOption {
	return append(grpcpipe.ServerOptions(), grpc.StatsHandler(handler{otelgrpc.NewServerHandler(opts...)}))
}

// handler is OpenTelemetry's with a look at the peer.
type handler struct{ stats.Handler }

func (h handler) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	ctx = h.Handler.TagRPC(ctx, info)
	if p, ok := grpcpipe.PeerFromContext(ctx); ok {
		trace.SpanFromContext(ctx).SetAttributes(
			attribute.String("user.id", p.User.ID),
			attribute.String("user.name", p.User.Name),
			attribute.Int("process.pid", p.PID),
			attribute.String("process.executable.path", p.Executable),
			attribute.Bool("grpcpipe.user.proven", p.UserProven),
			attribute.Bool("grpcpipe.process.proven", p.PIDProven),
		)
	}
	return ctx
}
