package interoptest

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

func customMetadata(ctx context.Context, target Target) error {
	return echoed(ctx, target, "test_initial_metadata_value", "\xab\xab\xab")
}

func bigMetadata(ctx context.Context, target Target) error {
	return echoed(ctx, target, strings.Repeat("m", 8<<10), "\xab\xab\xab")
}

// binaryMetadata sends every byte there is, and enough of them that no
// alignment of base64 is left out.
func binaryMetadata(ctx context.Context, target Target) error {
	for length := 254; length <= 256; length++ {
		value := make([]byte, length)
		for i := range value {
			value[i] = byte(i)
		}
		if err := echoed(ctx, target, "test_initial_metadata_value", string(value)); err != nil {
			return err
		}
	}
	return nil
}

// echoed sends both kinds of metadata with a unary call and with a stream, and
// checks that they come back as header and trailer.
func echoed(ctx context.Context, target Target, initial, trailing string) error {
	ctx = metadata.AppendToOutgoingContext(ctx, echoInitialKey, initial, echoTrailingKey, trailing)
	var header, trailer metadata.MD
	_, err := target.client().UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: 10, Payload: zeros(10)}, grpc.Header(&header), grpc.Trailer(&trailer))
	if err != nil {
		return fmt.Errorf("unary: %w", err)
	}
	if err := sameMetadata("unary", header, trailer, initial, trailing); err != nil {
		return err
	}

	stream, err := target.client().FullDuplexCall(ctx)
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: sized(10), Payload: zeros(10)}); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	header, err = stream.Header()
	if err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if _, err := stream.Recv(); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if err := stream.CloseSend(); err != nil {
		return fmt.Errorf("stream: %w", err)
	}
	if err := ended(stream); err != nil {
		return err
	}
	return sameMetadata("stream", header, stream.Trailer(), initial, trailing)
}

func sameMetadata(what string, header, trailer metadata.MD, initial, trailing string) error {
	if got := header.Get(echoInitialKey); len(got) != 1 || got[0] != initial {
		return fmt.Errorf("%s: header %s: got %q, want %q", what, echoInitialKey, got, initial)
	}
	if got := trailer.Get(echoTrailingKey); len(got) != 1 || got[0] != trailing {
		return fmt.Errorf("%s: trailer %s: got %q, want %q", what, echoTrailingKey, got, trailing)
	}
	return nil
}

func statusCodeAndMessage(ctx context.Context, target Target) error {
	return statusEcho(ctx, target, "test status message")
}

func specialStatusMessage(ctx context.Context, target Target) error {
	return statusEcho(ctx, target, "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001F608\t\n")
}

// statusEcho asks for a status from a unary call and from a stream.
func statusEcho(ctx context.Context, target Target, message string) error {
	echo := &testpb.EchoStatus{Code: int32(codes.Unknown), Message: message}
	_, err := target.client().UnaryCall(ctx, &testpb.SimpleRequest{ResponseStatus: echo})
	if err := sameStatus("unary", err, message); err != nil {
		return err
	}
	stream, err := target.client().FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseStatus: echo}); err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	_, err = stream.Recv()
	return sameStatus("stream", err, message)
}

func sameStatus(what string, err error, message string) error {
	if err := failed(what, err, codes.Unknown); err != nil {
		return err
	}
	return same(what+": message", status.Convert(err).Message(), message)
}

// statusDetails asks for google.rpc's error model: details that the status
// carries in the trailer grpc-status-details-bin.
func statusDetails(ctx context.Context, target Target) error {
	st, err := status.New(codes.InvalidArgument, "the order is incomplete ☺").WithDetails(
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: "amount", Description: "must be more than 0"}}},
		&errdetails.ErrorInfo{Reason: "INCOMPLETE", Domain: "grpcpipe.test", Metadata: map[string]string{"order": "7"}},
	)
	if err != nil {
		return err
	}
	want, err := proto.Marshal(st.Proto())
	if err != nil {
		return err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, statusKey, string(want))
	_, err = target.client().UnaryCall(ctx, &testpb.SimpleRequest{})
	if err := failed("status", err, codes.InvalidArgument); err != nil {
		return err
	}
	return sameProto(status.Convert(err).Proto(), st.Proto())
}

func sameProto(got, want *spb.Status) error {
	if !proto.Equal(got, want) {
		return fmt.Errorf("status with details: got %v, want %v", got, want)
	}
	return nil
}
