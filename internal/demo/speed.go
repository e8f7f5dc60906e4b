package demo

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/examples/greeter/greetpb"
)

const (
	// speedCalls is how many calls are measured over each transport, in rounds
	// that alternate, so that a busy moment of the machine affects both.
	speedCalls  = 2000
	speedRounds = 20
	speedWarmUp = 200
)

// A latency is the result over one transport.
type latency struct{ median, p99 time.Duration }

// measure measures greetings over both channels in turn.
func measure(ctx context.Context, pipe, tcp grpc.ClientConnInterface) (overPipe, overTCP latency, err error) {
	var times [2][]time.Duration
	conns := []grpc.ClientConnInterface{pipe, tcp}
	for _, conn := range conns {
		if _, err := greetOften(ctx, conn, speedWarmUp); err != nil {
			return latency{}, latency{}, err
		}
	}
	for range speedRounds {
		for i, conn := range conns {
			took, err := greetOften(ctx, conn, speedCalls/speedRounds)
			if err != nil {
				return latency{}, latency{}, err
			}
			times[i] = append(times[i], took...)
		}
	}
	return summary(times[0]), summary(times[1]), nil
}

// greetOften makes n calls, one after the other, and returns what each took.
func greetOften(ctx context.Context, conn grpc.ClientConnInterface, n int) ([]time.Duration, error) {
	client := greetpb.NewGreeterClient(conn)
	request := &greetpb.HelloRequest{Name: "World"}
	took := make([]time.Duration, n)
	for i := range took {
		start := time.Now()
		reply, err := client.SayHello(ctx, request)
		took[i] = time.Since(start)
		if err != nil {
			return nil, err
		}
		if got := reply.GetMessage(); got != "Hello World" {
			return nil, fmt.Errorf("got %q, want %q", got, "Hello World")
		}
	}
	return took, nil
}

func summary(times []time.Duration) latency {
	slices.Sort(times)
	return latency{median: times[len(times)/2], p99: times[len(times)*99/100]}
}
