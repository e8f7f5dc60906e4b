package interoptest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
)

var (
	requestSizes  = []int{27182, 8, 1828, 45904}
	responseSizes = []int{31415, 9, 2653, 58979}
)

func clientStreaming(ctx context.Context, target Target) error {
	stream, err := target.client().StreamingInputCall(ctx)
	if err != nil {
		return err
	}
	sum := 0
	for _, size := range requestSizes {
		sum += size
		// An error of Send is always EOF; CloseAndRecv tells the reason.
		if err := stream.Send(&testpb.StreamingInputCallRequest{Payload: zeros(size)}); err != nil {
			break
		}
	}
	reply, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	return same("sum of the sizes", int(reply.GetAggregatedPayloadSize()), sum)
}

func serverStreaming(ctx context.Context, target Target) error {
	return download(ctx, target, responseSizes)
}

func manyMessages(ctx context.Context, target Target) error {
	sizes := make([]int, 100_000)
	for i := range sizes {
		sizes[i] = i % 64
	}
	return download(ctx, target, sizes)
}

// download has one response of each size sent and checks their order.
func download(ctx context.Context, target Target, sizes []int) error {
	stream, err := target.client().StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{ResponseParameters: sized(sizes...)})
	if err != nil {
		return err
	}
	for i, size := range sizes {
		reply, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("response %d of %d: %w", i, len(sizes), err)
		}
		if err := checkZeros(reply.GetPayload(), size); err != nil {
			return fmt.Errorf("response %d: %w", i, err)
		}
	}
	return ended(stream)
}

// ended is an error when the stream has anything left but its end.
func ended(stream interface {
	Recv() (*testpb.StreamingOutputCallResponse, error)
}) error {
	if _, err := stream.Recv(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("at the end of the stream: got %v, want EOF", err)
	}
	return nil
}

func pingPong(ctx context.Context, target Target) error {
	stream, err := target.client().FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	for i, size := range requestSizes {
		request := &testpb.StreamingOutputCallRequest{ResponseParameters: sized(responseSizes[i]), Payload: zeros(size)}
		sendErr := stream.Send(request)
		reply, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("response %d: %w (Send: %v)", i, err, sendErr)
		}
		if err := checkZeros(reply.GetPayload(), responseSizes[i]); err != nil {
			return fmt.Errorf("response %d: %w", i, err)
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return ended(stream)
}

func emptyStream(ctx context.Context, target Target) error {
	stream, err := target.client().FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	return ended(stream)
}

func cancelAfterBegin(ctx context.Context, target Target) error {
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := target.client().StreamingInputCall(callCtx)
	if err != nil {
		return err
	}
	cancel()
	_, err = stream.CloseAndRecv()
	if err := failed("CloseAndRecv", err, codes.Canceled); err != nil {
		return err
	}
	return usable(ctx, target, "a canceled call")
}

func cancelAfterFirstResponse(ctx context.Context, target Target) error {
	callCtx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := target.client().FullDuplexCall(callCtx)
	if err != nil {
		return err
	}
	request := &testpb.StreamingOutputCallRequest{ResponseParameters: sized(31415), Payload: zeros(27182)}
	if err := stream.Send(request); err != nil {
		return err
	}
	reply, err := stream.Recv()
	if err != nil {
		return err
	}
	if err := checkZeros(reply.GetPayload(), 31415); err != nil {
		return err
	}
	cancel()
	_, err = stream.Recv()
	if err := failed("Recv", err, codes.Canceled); err != nil {
		return err
	}
	return usable(ctx, target, "a canceled stream")
}

func timeoutOnSleepingServer(ctx context.Context, target Target) error {
	const timeout = 20 * time.Millisecond
	callCtx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stream, err := target.client().FullDuplexCall(callCtx)
	if err == nil {
		// No response is asked for, so the server waits for more. An error of
		// Send is EOF, and Recv tells the reason.
		stream.Send(&testpb.StreamingOutputCallRequest{Payload: zeros(27182)})
		_, err = stream.Recv()
	}
	if err := failed("a call of 20 ms", err, codes.DeadlineExceeded); err != nil {
		return err
	}
	return usable(ctx, target, "a call that met its deadline")
}

// fullDuplexFlood sends 64 MiB each way at once: what would lock up a
// transport in which one direction waits for the other. The sizes differ, so
// that a response out of its place shows.
func fullDuplexFlood(ctx context.Context, target Target) error {
	const rounds = 1024
	size := func(i int) int { return 64<<10 + i%17 }
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := target.client().FullDuplexCall(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() {
		for i := range rounds {
			if err := stream.Send(&testpb.StreamingOutputCallRequest{ResponseParameters: sized(size(i)), Payload: zeros(size(i))}); err != nil {
				sent <- fmt.Errorf("request %d of %d: %w", i, rounds, err)
				return
			}
		}
		sent <- stream.CloseSend()
	}()
	for i := range rounds {
		reply, err := stream.Recv()
		if err != nil {
			return fmt.Errorf("response %d of %d: %w", i, rounds, err)
		}
		if err := checkZeros(reply.GetPayload(), size(i)); err != nil {
			return fmt.Errorf("response %d: %w", i, err)
		}
	}
	return errors.Join(<-sent, ended(stream))
}

// sizesOf returns how large the payloads of a stream's responses are.
func sizesOf(stream interface {
	Recv() (*testpb.StreamingOutputCallResponse, error)
}) ([]int, error) {
	var got []int
	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return got, nil
		}
		if err != nil {
			return got, err
		}
		got = append(got, len(reply.GetPayload().GetBody()))
	}
}

func sameSizes(got, want []int) error {
	if !slices.Equal(got, want) {
		return fmt.Errorf("got payloads of %v bytes, want %v", got, want)
	}
	return nil
}
