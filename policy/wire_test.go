package policy_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/loglimit"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/policy"
)

// TestPolicyOnTheWire: real calls of real processes, unary and streams; the log
// says who asked, the caller reads what was required.
func TestPolicyOnTheWire(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		t.Parallel()
		me, err := user.Current()
		if err != nil {
			t.Fatal(err)
		}
		var log lockedBuffer
		guard, err := policy.New(policy.Config{
			Rules: map[string]policy.Requirement{
				"/grpc.testing.TestService/EmptyCall":      policy.SameUser(),
				"/grpc.testing.TestService/UnaryCall":      policy.User(me.Uid),
				"/grpc.testing.TestService/FullDuplexCall": {},
			},
			Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx := testContext(t)
		c := grpc_testing.NewTestServiceClient(serve(t, e, &echo{}, guard))
		if _, err := c.EmptyCall(ctx, &grpc_testing.Empty{}); err != nil {
			t.Error(err)
		}
		if _, err := c.UnaryCall(ctx, &grpc_testing.SimpleRequest{}); err != nil {
			t.Error(err)
		}
		stream, err := c.FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = stream.Recv(); status.Code(err) != codes.PermissionDenied {
			t.Errorf("the stream: %v", err)
		}
		wantText(t, err, "/grpc.testing.TestService/FullDuplexCall may not be called by anyone")
		if text := log.String(); !strings.Contains(text, "FullDuplexCall") || !strings.Contains(text, fmt.Sprintf("process %d", os.Getpid())) {
			t.Errorf("the log says %q", text)
		}
		if _, err = c.UnimplementedCall(ctx, &grpc_testing.Empty{}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("a method without a pattern: %v", err)
		}
	})
}

// TestFloodInLog: a flood of refused calls gets a few lines.
func TestFloodInLog(t *testing.T) {
	var log lockedBuffer
	guard, err := policy.New(policy.Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	const flood = 20 * loglimit.Burst
	start := time.Now()
	for range flood {
		if err := guard.Allow(as(stranger), "/s/m"); status.Code(err) != codes.PermissionDenied {
			t.Fatal(err)
		}
	}
	most := loglimit.Burst + 1 + int(time.Since(start)/loglimit.Interval)
	if n := strings.Count(log.String(), "policy: call refused"); n < loglimit.Burst || n > most {
		t.Errorf("%d lines for %d refused calls, want %d to %d", n, flood, loglimit.Burst, most)
	}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
