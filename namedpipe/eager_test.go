package namedpipe_test

import (
	"context"
	"sync"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestListenUnderDialers: clients that wait for a name, as those of a restarted
// server do, are no hindrance to whoever takes it.
func TestListenUnderDialers(t *testing.T) {
	t.Parallel()
	name := freshName(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if c, err := namedpipe.Dial(ctx, name); err == nil {
					c.Close()
				}
			}
		})
	}
	for range 50 {
		l, err := namedpipe.Listen(ctx, name)
		if err != nil {
			t.Error(err)
			break
		}
		l.Close()
	}
	cancel()
	wg.Wait()
}
