package interoptest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	reflectpb "google.golang.org/grpc/reflection/grpc_reflection_v1"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
)

const (
	largeRequest  = 271828
	largeResponse = 314159
)

func greeterCase(ctx context.Context, target Target) error {
	for _, name := range []string{"World", "", "Zoë ☺ 😈"} {
		reply, err := greetpb.NewGreeterClient(target.Conn).SayHello(ctx, &greetpb.HelloRequest{Name: name})
		if err != nil {
			return err
		}
		if err := same("greeting", reply.GetMessage(), "Hello "+name); err != nil {
			return err
		}
	}
	return nil
}

// hello16MiB is the only large message whose content differs all along, in
// both directions.
func hello16MiB(ctx context.Context, target Target) error {
	var b strings.Builder
	for i := 0; b.Len() < 16<<20; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	name := b.String()
	reply, err := greetpb.NewGreeterClient(target.Conn).SayHello(ctx, &greetpb.HelloRequest{Name: name}, grpc.MaxCallRecvMsgSize(MaxMessage))
	if err != nil {
		return err
	}
	return sameText(reply.GetMessage(), "Hello "+name)
}

// sameText compares texts that are too long to print.
func sameText(got, want string) error {
	if got == want {
		return nil
	}
	i, wrong := 0, 0
	for i < min(len(got), len(want)) && got[i] == want[i] {
		i++
	}
	for j := i; j < min(len(got), len(want)); j++ {
		if got[j] != want[j] {
			wrong++
		}
	}
	return fmt.Errorf("text of %d bytes, want %d; it differs first at byte %d, got %q, want %q, and in %d places",
		len(got), len(want), i, got[i:min(i+40, len(got))], want[i:min(i+40, len(want))], wrong)
}

func healthCase(ctx context.Context, target Target) error {
	reply, err := healthpb.NewHealthClient(target.Conn).Check(ctx, &healthpb.HealthCheckRequest{})
	if err != nil {
		return err
	}
	return same("health", reply.GetStatus(), healthpb.HealthCheckResponse_SERVING)
}

func reflectionCase(ctx context.Context, target Target) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := reflectpb.NewServerReflectionClient(target.Conn).ServerReflectionInfo(ctx)
	if err != nil {
		return err
	}
	ask := &reflectpb.ServerReflectionRequest{MessageRequest: &reflectpb.ServerReflectionRequest_ListServices{}}
	if err := stream.Send(ask); err != nil {
		return err
	}
	reply, err := stream.Recv()
	if err != nil {
		return err
	}
	var names []string
	for _, s := range reply.GetListServicesResponse().GetService() {
		names = append(names, s.GetName())
	}
	for _, want := range []string{"greet.Greeter", "grpc.testing.TestService"} {
		if !slices.Contains(names, want) {
			return fmt.Errorf("reflection lists %q, and not %s", names, want)
		}
	}
	return nil
}

func emptyUnary(ctx context.Context, target Target) error {
	_, err := target.client().EmptyCall(ctx, &testpb.Empty{})
	return err
}

func largeUnary(ctx context.Context, target Target) error {
	return unary(ctx, target.client(), largeRequest, largeResponse)
}

func hugeUnary(ctx context.Context, target Target) error {
	return unary(ctx, target.client(), 16<<20, 16<<20, grpc.MaxCallRecvMsgSize(MaxMessage))
}

// unary makes one call with payloads of the given sizes.
func unary(ctx context.Context, client testpb.TestServiceClient, request, response int, opts ...grpc.CallOption) error {
	reply, err := client.UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: int32(response), Payload: zeros(request)}, opts...)
	if err != nil {
		return err
	}
	return checkZeros(reply.GetPayload(), response)
}

func unimplementedMethod(ctx context.Context, target Target) error {
	_, err := target.client().UnimplementedCall(ctx, &testpb.Empty{})
	return failed("UnimplementedCall", err, codes.Unimplemented)
}

func unimplementedService(ctx context.Context, target Target) error {
	_, err := testpb.NewUnimplementedServiceClient(target.Conn).UnimplementedCall(ctx, &testpb.Empty{})
	return failed("UnimplementedService", err, codes.Unimplemented)
}

func responseOverLimit(ctx context.Context, target Target) error {
	const limit = 1 << 20
	_, err := target.client().UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 2 * limit}, grpc.MaxCallRecvMsgSize(limit))
	if err := failed("a response over the client's limit", err, codes.ResourceExhausted); err != nil {
		return err
	}
	return usable(ctx, target, "a response over the limit")
}

func requestOverLimit(ctx context.Context, target Target) error {
	_, err := target.client().UnaryCall(ctx, &testpb.SimpleRequest{Payload: zeros(MaxMessage + 1)})
	if err := failed("a request over the server's limit", err, codes.ResourceExhausted); err != nil {
		return err
	}
	return usable(ctx, target, "a request over the limit")
}
