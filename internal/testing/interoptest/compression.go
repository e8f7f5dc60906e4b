package interoptest

import (
	"context"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

// Stats returns the stats handler of a server with the test service.
func Stats() stats.Handler { return &compressionStats{} }

// compressionStats lets the service see whether the message it has just
// received was compressed, which gRPC tells stats handlers alone.
type compressionStats struct{}

// CompressionStats returns the stats handler of a server with the test service.
func CompressionStats() stats.Handler { return &compressionStats{} }

type compressionKey struct{}

// lastCompressed reports whether the newest message of a call was compressed.
type lastCompressed struct{ atomic.Bool }

func (*compressionStats) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return context.WithValue(ctx, compressionKey{}, new(lastCompressed))
}

func (*compressionStats) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		if last, ok := ctx.Value(compressionKey{}).(*lastCompressed); ok {
			last.Store(in.CompressedLength != in.Length)
		}
	}
}

func (*compressionStats) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return ctx
}

func (*compressionStats) HandleConn(context.Context, stats.ConnStats) {}

// checkCompressed is the error that the descriptions of the cases ask for when
// a message was not compressed as the client says it was.
func checkCompressed(ctx context.Context, want *testpb.BoolValue) error {
	if want == nil {
		return nil
	}
	last, ok := ctx.Value(compressionKey{}).(*lastCompressed)
	if !ok {
		return status.Error(codes.FailedPrecondition, "this server can't see compression: it needs the stats handler of interoptest.Stats")
	}
	if got := last.Load(); got != want.GetValue() {
		return status.Errorf(codes.InvalidArgument, "compressed: %v, the client expected %v", got, want.GetValue())
	}
	return nil
}

// anyStream is a stream of either end.
type anyStream interface {
	Context() context.Context
	SendMsg(any) error
	RecvMsg(any) error
}

// sendPlain sends a message uncompressed on a stream that compresses. plain is
// a stream of the same kind without compression: grpc-go has no option for
// one message, but a prepared message carries its encoding with it. It prepares
// messages for its own streams only.
func sendPlain[S anyStream](stream, plain S, m any) error {
	var msg grpc.PreparedMsg
	if msg.Encode(plain, m) != nil {
		return stream.SendMsg(fastgrpc.Uncompressed{Message: m})
	}
	return stream.SendMsg(&msg)
}

// watchCompression is a client's stats handler that keeps, for every message
// received on a channel, whether it was compressed.
type watchCompression struct {
	mu  sync.Mutex
	got []bool
}

func (w *watchCompression) take() []bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	got := w.got
	w.got = nil
	return got
}

func (w *watchCompression) HandleRPC(_ context.Context, s stats.RPCStats) {
	if in, ok := s.(*stats.InPayload); ok {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.got = append(w.got, in.CompressedLength != in.Length)
	}
}

func (*watchCompression) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context {
	return ctx
}

func (*watchCompression) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context {
	return ctx
}

func (*watchCompression) HandleConn(context.Context, stats.ConnStats) {}
