package interop_test

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) {
	// Most of these tests wait for what other programs do after a time, so more
	// run at once than there are processors.
	flag.Set("test.parallel", "6")
	testproc.Main(m, programs)
}

// programs are what this test binary can be in other processes.
var programs = map[string]func(){"take over": takeOverServer}

const minute = time.Minute

// limited bounds a test, which must not take as long as the machine allows it.
func limited(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// newConn returns a channel that is closed with the test.
func newConn(t testing.TB, e engine.Engine, pipe string) engine.Conn {
	t.Helper()
	return newConnWith(t, e, pipe, fastgrpc.ClientConfig{})
}

func newConnWith(t testing.TB, e engine.Engine, pipe string, cfg fastgrpc.ClientConfig) engine.Conn {
	t.Helper()
	cc, err := e.NewClient(pipe, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// ping makes the smallest call there is.
func ping(ctx context.Context, cc grpc.ClientConnInterface, opts ...grpc.CallOption) error {
	_, err := testpb.NewTestServiceClient(cc).EmptyCall(ctx, &testpb.Empty{}, opts...)
	return err
}

// mustPing is ping with an error that ends the test.
func mustPing(ctx context.Context, t testing.TB, cc grpc.ClientConnInterface, opts ...grpc.CallOption) {
	t.Helper()
	if err := ping(ctx, cc, opts...); err != nil {
		t.Fatal(err)
	}
}

// slowStream asks for a stream of n messages, every so often one.
func slowStream(n int, every time.Duration) *testpb.StreamingOutputCallRequest {
	r := new(testpb.StreamingOutputCallRequest)
	for range n {
		r.ResponseParameters = append(r.ResponseParameters, &testpb.ResponseParameters{Size: 8, IntervalUs: int32(every.Microseconds())})
	}
	return r
}

// openStream opens a server stream and waits for its first message.
func openStream(ctx context.Context, cc grpc.ClientConnInterface, in *testpb.StreamingOutputCallRequest) (testpb.TestService_StreamingOutputCallClient, error) {
	s, err := testpb.NewTestServiceClient(cc).StreamingOutputCall(ctx, in)
	if err == nil {
		_, err = s.Recv()
	}
	return s, err
}

// hold opens a stream that stays open, proven by one message each way, until
// it is closed or ctx ends.
func hold(ctx context.Context, cc grpc.ClientConnInterface) (testpb.TestService_FullDuplexCallClient, error) {
	s, err := testpb.NewTestServiceClient(cc).FullDuplexCall(ctx)
	if err == nil {
		err = s.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: []*testpb.ResponseParameters{{Size: 1}}})
	}
	if err == nil {
		_, err = s.Recv()
	}
	return s, err
}

// absent reports whether nobody can connect to the pipe.
func absent(ctx context.Context, pipe string) bool {
	c, err := namedpipe.Dial(ctx, pipe)
	if err != nil {
		return true
	}
	c.Close()
	return false
}

// contains reports whether an error's text holds s; grpc doubles the backslashes
// of what it quotes.
func contains(text, s string) bool {
	return strings.Contains(text, s) || strings.Contains(strings.ReplaceAll(text, `\\`, `\`), s)
}
