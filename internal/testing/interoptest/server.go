package interoptest

import (
	"context"
	"errors"
	"io"
	"math"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/status"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

// MaxMessage is the largest message that the server takes, in bytes. The .NET
// peer has the same limit.
const MaxMessage = 64 << 20

// Metadata that the service acts on. The first two are gRPC's, the third is
// ours: a serialized google.rpc.Status that UnaryCall ends with.
const (
	echoInitialKey  = "x-grpc-test-echo-initial"
	echoTrailingKey = "x-grpc-test-echo-trailing-bin"
	statusKey       = "x-grpcpipe-test-status-bin"
)

// NewServer returns a server with everything that the cases need: the test
// service, the greeter, health and reflection, messages of up to MaxMessage.
// The options are applied after its own.
func NewServer(opts ...grpc.ServerOption) *grpc.Server {
	own := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessage),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.StatsHandler(CompressionStats()),
	}
	s := grpc.NewServer(append(own, opts...)...)
	RegisterAll(s)
	return s
}

// RegisterAll registers everything that the cases need. So that the service can
// tell whether a request was compressed the server needs CompressionStats.
func RegisterAll(s reflection.GRPCServer) {
	Register(s)
	h := health.NewServer()
	for name := range s.GetServiceInfo() {
		h.SetServingStatus(name, healthpb.HealthCheckResponse_SERVING)
	}
	healthpb.RegisterHealthServer(s, h)
	reflection.Register(s)
}

// Register registers the test service and the greeter with s.
func Register(s grpc.ServiceRegistrar) {
	testpb.RegisterTestServiceServer(s, service{})
	greetpb.RegisterGreeterServer(s, greeter{})
}

type greeter struct {
	greetpb.UnimplementedGreeterServer
}

func (greeter) SayHello(_ context.Context, in *greetpb.HelloRequest) (*greetpb.HelloReply, error) {
	return &greetpb.HelloReply{Message: "Hello " + in.GetName()}, nil
}

// service is grpc.testing.TestService. UnimplementedCall stays unimplemented:
// that is its purpose.
type service struct {
	testpb.UnimplementedTestServiceServer
}

func (service) EmptyCall(ctx context.Context, _ *testpb.Empty) (*testpb.Empty, error) {
	if err := echoMetadata(ctx); err != nil {
		return nil, err
	}
	return &testpb.Empty{}, nil
}

func (service) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	if err := checkCompressed(ctx, in.GetExpectCompressed()); err != nil {
		return nil, err
	}
	if in.GetResponseCompressed().GetValue() {
		if err := fastgrpc.SetSendCompressor(ctx, gzip.Name); err != nil {
			return nil, err
		}
	}
	if err := echoMetadata(ctx); err != nil {
		return nil, err
	}
	if err := askedStatus(ctx, in.GetResponseStatus()); err != nil {
		return nil, err
	}
	payload, err := newPayload(in.GetResponseType(), in.GetResponseSize())
	if err != nil {
		return nil, err
	}
	return &testpb.SimpleResponse{Payload: payload}, nil
}

func (service) CacheableUnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return service{}.UnaryCall(ctx, in)
}

func (service) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	for _, p := range in.GetResponseParameters() {
		// The compressor belongs to the call and must be set before the headers
		// are sent; a message that is to go without it is then sent prepared.
		if p.GetCompressed().GetValue() {
			if err := fastgrpc.SetSendCompressor(stream.Context(), gzip.Name); err != nil {
				return err
			}
			break
		}
	}
	if err := echoMetadata(stream.Context()); err != nil {
		return err
	}
	if err := sendAsked(in, stream); err != nil {
		return err
	}
	return askedStatus(stream.Context(), in.GetResponseStatus())
}

func (service) StreamingInputCall(stream grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	if err := echoMetadata(stream.Context()); err != nil {
		return err
	}
	var sum int
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return stream.SendAndClose(&testpb.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		if err := checkCompressed(stream.Context(), in.GetExpectCompressed()); err != nil {
			return err
		}
		sum += len(in.GetPayload().GetBody())
	}
}

func (service) FullDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	if err := echoMetadata(stream.Context()); err != nil {
		return err
	}
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := askedStatus(stream.Context(), in.GetResponseStatus()); err != nil {
			return err
		}
		if err := sendAsked(in, stream); err != nil {
			return err
		}
	}
}

func (service) HalfDuplexCall(stream grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	var all []*testpb.StreamingOutputCallRequest
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		all = append(all, in)
	}
	for _, in := range all {
		if err := sendAsked(in, stream); err != nil {
			return err
		}
	}
	return nil
}

// responses is the sending half of both kinds of streams.
type responses interface {
	grpc.ServerStream
	Send(*testpb.StreamingOutputCallResponse) error
}

// sendAsked sends the responses that in asks for, at the asked intervals.
func sendAsked(in *testpb.StreamingOutputCallRequest, stream responses) error {
	for _, p := range in.GetResponseParameters() {
		if us := p.GetIntervalUs(); us > 0 {
			select {
			case <-time.After(time.Duration(us) * time.Microsecond):
			case <-stream.Context().Done():
				return status.FromContextError(stream.Context().Err()).Err()
			}
		}
		payload, err := newPayload(in.GetResponseType(), p.GetSize())
		if err != nil {
			return err
		}
		out := &testpb.StreamingOutputCallResponse{Payload: payload}
		if c := p.GetCompressed(); c != nil && !c.GetValue() {
			err = sendPlain(stream, stream, out)
		} else {
			err = stream.Send(out)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func newPayload(kind testpb.PayloadType, size int32) (*testpb.Payload, error) {
	if size < 0 || size > MaxMessage {
		return nil, status.Errorf(codes.InvalidArgument, "a response of %d bytes was asked for; 0 to %d are possible", size, MaxMessage)
	}
	if kind != testpb.PayloadType_COMPRESSABLE {
		return nil, status.Errorf(codes.InvalidArgument, "payload type %v is not known", kind)
	}
	return &testpb.Payload{Type: kind, Body: make([]byte, size)}, nil
}

// echoMetadata sends back the metadata that the client asks to have echoed.
func echoMetadata(ctx context.Context) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(echoInitialKey); len(v) > 0 {
		if err := grpc.SendHeader(ctx, metadata.MD{echoInitialKey: v}); err != nil {
			return err
		}
	}
	if v := md.Get(echoTrailingKey); len(v) > 0 {
		return grpc.SetTrailer(ctx, metadata.MD{echoTrailingKey: v})
	}
	return nil
}

// askedStatus is the error that the client asks for, in the request or, with
// details, in the metadata.
func askedStatus(ctx context.Context, echo *testpb.EchoStatus) error {
	md, _ := metadata.FromIncomingContext(ctx)
	if v := md.Get(statusKey); len(v) > 0 {
		var st spb.Status
		if err := proto.Unmarshal([]byte(v[0]), &st); err != nil {
			return status.Errorf(codes.InvalidArgument, "%s: %v", statusKey, err)
		}
		return status.ErrorProto(&st)
	}
	if echo.GetCode() == 0 {
		return nil
	}
	return status.Error(codes.Code(echo.GetCode()), echo.GetMessage())
}
