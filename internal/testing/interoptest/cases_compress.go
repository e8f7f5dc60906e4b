package interoptest

import (
	"context"
	"fmt"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding/gzip"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

var (
	compressed   = &testpb.BoolValue{Value: true}
	uncompressed = &testpb.BoolValue{Value: false}
)

func useGzip() grpc.CallOption { return grpc.UseCompressor(gzip.Name) }

// gzipUnary sends a compressed request to a server that need not tell whether
// it was.
func gzipUnary(ctx context.Context, target Target) error {
	return unary(ctx, target.client(), largeRequest, largeResponse, useGzip())
}

func gzipStreaming(ctx context.Context, target Target) error {
	stream, err := target.client().FullDuplexCall(ctx, useGzip())
	if err != nil {
		return err
	}
	for i, size := range requestSizes {
		if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: sized(responseSizes[i]), Payload: zeros(size)}); err != nil {
			break // sizesOf tells the reason
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	got, err := sizesOf(stream)
	if err != nil {
		return err
	}
	return sameSizes(got, responseSizes)
}

func clientCompressedUnary(ctx context.Context, target Target) error {
	client := target.client()
	call := func(expect *testpb.BoolValue, opts ...grpc.CallOption) error {
		reply, err := client.UnaryCall(ctx, &testpb.SimpleRequest{
			ExpectCompressed: expect, ResponseSize: largeResponse, Payload: zeros(largeRequest),
		}, opts...)
		if err != nil {
			return err
		}
		return checkZeros(reply.GetPayload(), largeResponse)
	}
	// The probe: a server that doesn't look can't pass.
	if err := failed("an uncompressed request that is said to be compressed", call(compressed), codes.InvalidArgument); err != nil {
		return err
	}
	if err := call(compressed, useGzip()); err != nil {
		return fmt.Errorf("a compressed request: %w", err)
	}
	if err := call(uncompressed); err != nil {
		return fmt.Errorf("an uncompressed request: %w", err)
	}
	return nil
}

func clientCompressedStreaming(ctx context.Context, target Target) error {
	client := target.client()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	probe, err := client.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	if err := probe.Send(&testpb.StreamingInputCallRequest{ExpectCompressed: compressed, Payload: zeros(27182)}); err != nil {
		return err
	}
	_, err = probe.CloseAndRecv()
	if err := failed("an uncompressed message that is said to be compressed", err, codes.InvalidArgument); err != nil {
		return err
	}

	stream, err := client.StreamingInputCall(ctx, useGzip())
	if err != nil {
		return err
	}
	if err := stream.Send(&testpb.StreamingInputCallRequest{ExpectCompressed: compressed, Payload: zeros(27182)}); err != nil {
		return err
	}
	plain, err := client.StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	if err := sendPlain(stream, plain, &testpb.StreamingInputCallRequest{ExpectCompressed: uncompressed, Payload: zeros(45904)}); err != nil {
		return err
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	return same("sum of the sizes", reply.GetAggregatedPayloadSize(), 27182+45904)
}

func serverCompressedUnary(ctx context.Context, target Target) error {
	var seen watchCompression
	conn, err := target.dial(&seen)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, want := range []*testpb.BoolValue{compressed, uncompressed} {
		reply, err := testpb.NewTestServiceClient(conn).UnaryCall(ctx, &testpb.SimpleRequest{
			ResponseCompressed: want, ResponseSize: largeResponse, Payload: zeros(largeRequest),
		})
		if err != nil {
			return err
		}
		if err := checkZeros(reply.GetPayload(), largeResponse); err != nil {
			return err
		}
		if err := sameFlags(seen.take(), want.GetValue()); err != nil {
			return err
		}
	}
	return nil
}

func serverCompressedStreaming(ctx context.Context, target Target) error {
	var seen watchCompression
	conn, err := target.dial(&seen)
	if err != nil {
		return err
	}
	defer conn.Close()
	stream, err := testpb.NewTestServiceClient(conn).StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{
		ResponseParameters: []*testpb.ResponseParameters{
			{Compressed: compressed, Size: 31415},
			{Compressed: uncompressed, Size: 92653},
		},
	})
	if err != nil {
		return err
	}
	got, err := sizesOf(stream)
	if err != nil {
		return err
	}
	if err := sameSizes(got, []int{31415, 92653}); err != nil {
		return err
	}
	return sameFlags(seen.take(), true, false)
}

func sameFlags(got []bool, want ...bool) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("responses compressed: got %v, want %v", got, want)
	}
	return nil
}
