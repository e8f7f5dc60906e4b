package interop_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"

	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/dotnetpeer"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
	"github.com/grpcpipe/grpcpipe/policy"
)

// TestDotNetIdentity: what a Go server knows of the .NET client at each
// impersonation level, and that the article's client, which is anonymous, meets
// a same-user policy on the default listener as it is.
func TestDotNetIdentity(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		for level, want := range map[string]namedpipe.ImpersonationLevel{
			"Anonymous":      namedpipe.Anonymous, // the article's
			"Identification": namedpipe.Identification,
			"Impersonation":  namedpipe.Impersonation,
			"Delegation":     namedpipe.Delegation,
		} {
			t.Run(level, func(t *testing.T) {
				seen, results := callUnderPolicy(t, e, policy.SameUser(), "--impersonation", level)
				for name, err := range results {
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				if len(seen) == 0 {
					t.Fatal("the server has seen no call")
				}
				for _, p := range seen {
					if !p.SameUser || p.PID == 0 {
						t.Errorf("the client is %+v", p)
					}
					checkLevel(t, p, want)
				}
			})
		}
	})
}

// TestDotNetRefused: a policy that the .NET client doesn't meet refuses it.
func TestDotNetRefused(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		dotnetpeer.Program(t)
		_, results := callUnderPolicy(t, e, policy.Check("somebody else", func(context.Context, *namedpipe.Peer) error { return errors.New("no") }))
		for name, err := range results {
			if err == nil {
				t.Errorf("%s passed", name)
			}
		}
	})
}

// callUnderPolicy runs a few of the .NET client's cases against a server with
// the requirement for every method.
func callUnderPolicy(t *testing.T, e engine.Engine, r policy.Requirement, args ...string) (seen []*namedpipe.Peer, results map[string]error) {
	t.Helper()
	guard, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{"*": r}})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	note := func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if p, ok := grpcpipe.PeerFromContext(ctx); ok {
			mu.Lock()
			seen = append(seen, p)
			mu.Unlock()
		}
		return handler(ctx, req)
	}
	pipe := testproc.PipeName()
	s := e.NewTestServer(fastgrpc.ServerConfig{
		UnaryInterceptors:  []grpc.UnaryServerInterceptor{note, guard.UnaryInterceptor()},
		StreamInterceptors: []grpc.StreamServerInterceptor{guard.StreamInterceptor()},
	})
	t.Cleanup(s.Stop)
	serve(t, s, pipe)
	ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
	defer cancel()
	results, err = dotnetpeer.RunClient(ctx, t, pipe, []string{"greeter", "empty_unary", "large_unary"}, args...)
	if err != nil {
		t.Logf("the client: %v", err)
	}
	if len(results) == 0 {
		t.Fatal("the client ran no case")
	}
	mu.Lock()
	defer mu.Unlock()
	return seen, results
}

// checkLevel holds the level that the server sees against the one asked for.
func checkLevel(t *testing.T, p *namedpipe.Peer, want namedpipe.ImpersonationLevel) {
	t.Helper()
	switch {
	case dotnetpeer.UnderWine():
		t.Logf("the level is %d: Wine 10 gives every server Impersonation", p.Level)
	case p.Level == want:
	case !levelsTravel:
		// A Unix socket carries no level: the server may know who, never act.
		if p.Level != namedpipe.Identification {
			t.Errorf("the level is %d", p.Level)
		}
	default:
		t.Errorf("the level is %d, want %d", p.Level, want)
	}
}

// levelsTravel reports whether a connection carries the client's level.
var levelsTravel = runtime.GOOS == "windows"
