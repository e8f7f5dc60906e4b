package interoptest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	testpb "google.golang.org/grpc/interop/grpc_testing"
)

// soakCall is the longest that one call of a soak case may take.
const soakCall = 10 * time.Second

// concurrentUnary has 500 calls under way at once, each with a size of its own
// so that no two can be taken for each other.
func concurrentUnary(ctx context.Context, target Target) error {
	return each(500, func(i int) error { return unary(ctx, target.client(), i, i) })
}

func rpcSoak(ctx context.Context, target Target) error {
	for i := range target.iterations() {
		callCtx, cancel := context.WithTimeout(ctx, soakCall)
		err := unary(callCtx, target.client(), largeRequest, largeResponse)
		cancel()
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
	}
	return nil
}

func channelSoak(ctx context.Context, target Target) error {
	for i := range target.iterations() {
		if err := freshChannel(ctx, target); err != nil {
			return fmt.Errorf("channel %d: %w", i, err)
		}
	}
	return nil
}

func burstOfConnections(ctx context.Context, target Target) error {
	return each(64, func(int) error { return freshChannel(ctx, target) })
}

// freshChannel makes one call on a channel of its own.
func freshChannel(ctx context.Context, target Target) error {
	ctx, cancel := context.WithTimeout(ctx, soakCall)
	defer cancel()
	conn, err := target.dial()
	if err != nil {
		return err
	}
	return errors.Join(unary(ctx, testpb.NewTestServiceClient(conn), 1000, 2000), conn.Close())
}

// each runs f n times at once, with 1 to n, and returns the first error and
// how many there were.
func each(n int, f func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = f(i + 1) })
	}
	wg.Wait()
	var first error
	count := 0
	for _, err := range errs {
		if err != nil {
			count++
			if first == nil {
				first = err
			}
		}
	}
	if first == nil {
		return nil
	}
	return fmt.Errorf("%d of %d failed, the first: %w", count, n, first)
}
