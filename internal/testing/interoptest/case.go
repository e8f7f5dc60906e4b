package interoptest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
)

// A Conn is a channel of either implementation.
type Conn interface {
	grpc.ClientConnInterface
	Close() error
}

// A Target is a server as its client sees it.
type Target struct {
	// Conn makes the calls.
	Conn grpc.ClientConnInterface

	// Dial makes a channel of its own, for the cases that look at connections
	// or need to see what goes over them. Where it is nil those cases fail and
	// must be left out with a reason.
	Dial func(...stats.Handler) (Conn, error)

	// Iterations is how often the soak cases call. 0 means 100.
	Iterations int
}

func (t Target) client() testpb.TestServiceClient { return testpb.NewTestServiceClient(t.Conn) }

func (t Target) iterations() int {
	if t.Iterations == 0 {
		return 100
	}
	return t.Iterations
}

// dial is Dial with an error in place of nil.
func (t Target) dial(watch ...stats.Handler) (Conn, error) {
	if t.Dial == nil {
		return nil, errors.New("this case makes channels of its own: set Target.Dial")
	}
	return t.Dial(watch...)
}

// A Case is one conversation with a server and what must come of it.
type Case struct {
	// Name is the name in gRPC's descriptions where they have the case.
	Name string
	// Limit is the longest that the case may take.
	Limit time.Duration

	run func(context.Context, Target) error
}

// grace is what a case has, after its limit, to notice that its context has
// ended.
const grace = 2 * time.Second

// Run runs the case. It returns within the case's limit, and a little, even if
// the client hangs.
func (c Case) Run(ctx context.Context, target Target) error {
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- c.run(ctx, target) }()
	select {
	case err := <-done:
		return c.wrap(err)
	case <-ctx.Done():
	}
	late := time.NewTimer(grace)
	defer late.Stop()
	select {
	case err := <-done:
		return c.wrap(err)
	case <-late.C:
		return fmt.Errorf("%s: still running %v after the end of its context (%w)", c.Name, grace, ctx.Err())
	}
}

func (c Case) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", c.Name, err)
}

const (
	quick = 30 * time.Second  // the limit of a case that takes milliseconds
	long  = 120 * time.Second // the limit of a case that moves much or calls often
)

var cases = []Case{
	{"greeter", quick, greeterCase},
	{"hello_16MiB", long, hello16MiB},
	{"health", quick, healthCase},
	{"reflection", quick, reflectionCase},
	{"empty_unary", quick, emptyUnary},
	{"large_unary", quick, largeUnary},
	{"huge_unary_16MiB", long, hugeUnary},
	{"client_streaming", quick, clientStreaming},
	{"server_streaming", quick, serverStreaming},
	{"server_streaming_100k_messages", long, manyMessages},
	{"ping_pong", quick, pingPong},
	{"empty_stream", quick, emptyStream},
	{"gzip_unary", quick, gzipUnary},
	{"gzip_streaming", quick, gzipStreaming},
	{"client_compressed_unary", quick, clientCompressedUnary},
	{"server_compressed_unary", quick, serverCompressedUnary},
	{"client_compressed_streaming", quick, clientCompressedStreaming},
	{"server_compressed_streaming", quick, serverCompressedStreaming},
	{"custom_metadata", quick, customMetadata},
	{"metadata_8KiB", quick, bigMetadata},
	{"metadata_binary", quick, binaryMetadata},
	{"status_code_and_message", quick, statusCodeAndMessage},
	{"special_status_message", quick, specialStatusMessage},
	{"status_details", quick, statusDetails},
	{"unimplemented_method", quick, unimplementedMethod},
	{"unimplemented_service", quick, unimplementedService},
	{"cancel_after_begin", quick, cancelAfterBegin},
	{"cancel_after_first_response", quick, cancelAfterFirstResponse},
	{"timeout_on_sleeping_server", quick, timeoutOnSleepingServer},
	{"response_over_limit", quick, responseOverLimit},
	{"request_over_limit", long, requestOverLimit},
	{"concurrent_unary_500", long, concurrentUnary},
	{"full_duplex_flood_64MiB", long, fullDuplexFlood},
	{"rpc_soak", long, rpcSoak},
	{"channel_soak", long, channelSoak},
	{"burst_of_64_connections", long, burstOfConnections},
}

// Cases returns every case, in the order in which they are to be run.
func Cases() []Case { return slices.Clone(cases) }

// same is an error when got is not want.
func same[T comparable](what string, got, want T) error {
	if got == want {
		return nil
	}
	return fmt.Errorf("%s: got %v, want %v", what, got, want)
}

// failed is an error when err is not a status with the given code.
func failed(what string, err error, want codes.Code) error {
	if err == nil {
		return fmt.Errorf("%s: no error, want %v", what, want)
	}
	if got := status.Code(err); got != want {
		return fmt.Errorf("%s: got %v, want %v: %w", what, got, want, err)
	}
	return nil
}

// usable is an error when the channel doesn't serve an ordinary call any more.
func usable(ctx context.Context, target Target, after string) error {
	if _, err := target.client().EmptyCall(ctx, &testpb.Empty{}); err != nil {
		return fmt.Errorf("the channel no longer works after %s: %w", after, err)
	}
	return nil
}

func zeros(size int) *testpb.Payload { return &testpb.Payload{Body: make([]byte, size)} }

// checkZeros is an error when p doesn't hold exactly size bytes of zero.
func checkZeros(p *testpb.Payload, size int) error {
	body := p.GetBody()
	if len(body) != size {
		return fmt.Errorf("got a payload of %d bytes, want %d", len(body), size)
	}
	for i, b := range body {
		if b != 0 {
			return fmt.Errorf("byte %d of %d in the payload is %#x, want 0", i, size, b)
		}
	}
	return nil
}

// sized asks a stream for one response for each size.
func sized(sizes ...int) []*testpb.ResponseParameters {
	var out []*testpb.ResponseParameters
	for _, size := range sizes {
		out = append(out, &testpb.ResponseParameters{Size: int32(size)})
	}
	return out
}
