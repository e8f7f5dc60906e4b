package grpcpipe_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func as(p *namedpipe.Peer) context.Context {
	return peer.NewContext(context.Background(), &peer.Peer{AuthInfo: grpcpipe.AuthInfo{Peer: p}})
}

// Callers of every sort.
var (
	self      = &namedpipe.Peer{UserProven: true, SameUser: true, User: namedpipe.Account{ID: "1000"}, Groups: []string{"1000", "27"}, Session: 1, PID: 7, Executable: "/bin/app"}
	stranger  = &namedpipe.Peer{UserProven: true, User: namedpipe.Account{ID: "1001"}, Session: 2, PID: 8, Executable: "/bin/other"}
	admin     = &namedpipe.Peer{UserProven: true, User: namedpipe.Account{ID: "4710"}, Administrator: true, Elevated: true}
	unraised  = &namedpipe.Peer{UserProven: true, User: namedpipe.Account{ID: "1002"}, Administrator: true}
	anonymous = &namedpipe.Peer{Level: namedpipe.Anonymous}
	anonSelf  = &namedpipe.Peer{Level: namedpipe.Anonymous, SameUser: true}
	allPeers  = map[string]*namedpipe.Peer{"self": self, "stranger": stranger, "admin": admin, "unraised": unraised, "anonymous": anonymous, "anonSelf": anonSelf}
)

// TestRequirements: who meets what. On Windows names and numbers are accounts of
// the system, so User and Group are in TestPolicyOnTheWire.
func TestRequirements(t *testing.T) {
	odd := errors.New("odd")
	for _, test := range []struct {
		r    grpcpipe.Requirement
		met  string
		says string
	}{
		{grpcpipe.Requirement{}, "", "nobody may call it"},
		{grpcpipe.AnyPeer(), "self stranger admin unraised anonymous anonSelf", "any process"},
		{grpcpipe.SameUser(), "self anonSelf", "the user that the server runs as"},
		{grpcpipe.Administrators(), "admin", "an administrator"},
		{grpcpipe.Session(2), "stranger", "session 2"},
		{grpcpipe.HintPID(7), "self", "process 7"},
		{grpcpipe.HintPID(0), "", "process 0"},
		{grpcpipe.HintExecutable("/bin/app"), "self", "/bin/app"},
		{grpcpipe.AllOf(grpcpipe.SameUser(), grpcpipe.HintPID(7)), "self", " and "},
		{grpcpipe.AnyOf(grpcpipe.Administrators(), grpcpipe.Session(2)), "admin stranger", " or "},
		{grpcpipe.Check("an even id", func(_ context.Context, p *namedpipe.Peer) error {
			if strings.HasSuffix(p.User.ID, "1") {
				return odd
			}
			return nil
		}), "self admin unraised anonymous anonSelf", "an even id"},
	} {
		policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{Rules: map[string]grpcpipe.Requirement{"*": test.r}})
		if err != nil {
			t.Fatal(err)
		}
		for who, p := range allPeers {
			err := policy.Allow(as(p), "/s/m")
			if want := strings.Contains(" "+test.met+" ", " "+who+" "); (err == nil) != want {
				t.Errorf("%s for %s: %v", test.r, who, err)
			}
			if err == nil {
				continue
			}
			if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), "/s/m requires "+test.r.String()) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s for %s: %v", test.r, who, err)
			}
			if errors.Is(err, odd) || strings.Contains(err.Error(), "odd") || p.User.ID != "" && strings.Contains(err.Error(), p.User.ID) {
				t.Errorf("%s for %s: the text says more than the requirement: %v", test.r, who, err)
			}
			if who == "anonymous" && test.met != "" && test.says != "process 0" && !strings.Contains(err.Error(), "TokenImpersonationLevel.Identification") {
				t.Errorf("%s for %s: %v doesn't name the client's option", test.r, who, err)
			}
		}
	}
}

// TestMostExactPattern: a method before its service before everything else, and
// nothing without a pattern.
func TestMostExactPattern(t *testing.T) {
	policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{Rules: map[string]grpcpipe.Requirement{
		"/pkg.S/Open":   grpcpipe.AnyPeer(),
		"/pkg.S/*":      grpcpipe.SameUser(),
		"/pkg.Admin/*":  grpcpipe.Administrators(),
		"/pkg.S/Closed": {},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for method, want := range map[string]string{
		"/pkg.S/Open":    "self stranger admin",
		"/pkg.S/Other":   "self",
		"/pkg.S/Closed":  "",
		"/pkg.S/":        "self",
		"/pkg.Admin/X":   "admin",
		"/pkg.Other/X":   "",
		"/pkg.S2/Open":   "",
		"/pkg.S/Open/..": "",
		"":               "",
		"/":              "",
		"pkg.S/Open":     "",
	} {
		for who, p := range map[string]*namedpipe.Peer{"self": self, "stranger": stranger, "admin": admin} {
			if err := policy.Allow(as(p), method); (err == nil) != strings.Contains(want, who) {
				t.Errorf("%s by %s: %v", method, who, err)
			}
		}
	}
	if err := policy.Allow(context.Background(), "/pkg.S/Open"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an unknown caller: %v", err)
	}
}

func TestBadPolicy(t *testing.T) {
	for _, pattern := range []string{"", "/", "//", "/*", "/pkg.S", "pkg.S/M", "/pkg.S/", "/pkg.*/M", "/pkg.S/M*", "/a/b/c", "**", "/pkg.S/M ", "*/M"} {
		_, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{Rules: map[string]grpcpipe.Requirement{pattern: grpcpipe.AnyPeer()}})
		wantText(t, err, fmt.Sprintf("%q", pattern), "write /pkg.Service/Method, /pkg.Service/* or *")
	}
	for text, r := range map[string]grpcpipe.Requirement{
		"no such user":       grpcpipe.User("no such user"),
		"no such group":      grpcpipe.Group("no such group"),
		"without a function": grpcpipe.Check("x", nil),
		"at least one":       grpcpipe.AnyOf(),
		"no such member":     grpcpipe.AllOf(grpcpipe.SameUser(), grpcpipe.User("no such member")),
	} {
		_, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{Rules: map[string]grpcpipe.Requirement{"*": r}})
		wantText(t, err, text)
	}
	if _, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{Recheck: -1}); err == nil {
		t.Error("a negative Recheck is taken")
	}
}

// TestPolicyOnTheWire: real calls of real processes, unary and streams; the log
// says who asked, the caller reads what was required.
func TestPolicyOnTheWire(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	me, err := selfID(t)
	if err != nil {
		t.Fatal(err)
	}
	var log lockedBuffer
	policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{
		Rules: map[string]grpcpipe.Requirement{
			"/grpc.testing.TestService/EmptyCall":      grpcpipe.SameUser(),
			"/grpc.testing.TestService/UnaryCall":      grpcpipe.User(me),
			"/grpc.testing.TestService/FullDuplexCall": {},
		},
		Logger: slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, name, policy.ServerOptions()...)
	ctx := testContext(t)
	c := grpc_testing.NewTestServiceClient(client(t, name))
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
	wantText(t, err, "/grpc.testing.TestService/FullDuplexCall requires nobody may call it")
	if text := log.String(); !strings.Contains(text, "FullDuplexCall") || !strings.Contains(text, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("the log says %q", text)
	}
	if _, err = c.UnimplementedCall(ctx, &grpc_testing.Empty{}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("a method without a pattern: %v", err)
	}
}

// selfID is this process's user as its own server sees it.
func selfID(t *testing.T) (string, error) {
	name := pipeName(t)
	s := serveWith(t, name, &service{unary: whoami}, grpcpipe.ServerOptions()...)
	defer s.stop()
	reply, err := call(testContext(t), client(t, name))
	return reply.GetUsername(), err
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

// TestRecheck: a stream ends when the policy, asked again, refuses, whether its
// handler waits in Recv or for its context.
func TestRecheck(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"recv", "context"} {
		t.Run(how, func(t *testing.T) {
			name := pipeName(t)
			var closed atomic.Bool
			policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{
				Recheck: 10 * time.Millisecond,
				Rules: map[string]grpcpipe.Requirement{"*": grpcpipe.Check("an open door", func(context.Context, *namedpipe.Peer) error {
					if closed.Load() {
						return errors.New("closed")
					}
					return nil
				})},
			})
			if err != nil {
				t.Fatal(err)
			}
			handler := func(_ any, stream grpc.ServerStream) error {
				if how == "context" {
					stream.SendMsg(&grpc_testing.StreamingOutputCallResponse{})
					<-stream.Context().Done()
					return nil
				}
				for {
					var m grpc_testing.StreamingOutputCallRequest
					if err := stream.RecvMsg(&m); err != nil {
						return err
					}
					stream.SendMsg(&grpc_testing.StreamingOutputCallResponse{Payload: m.Payload})
				}
			}
			serve(t, name, append(policy.ServerOptions(), grpc.ChainStreamInterceptor(
				func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
					return handler(srv, ss)
				}))...)
			stream, err := grpc_testing.NewTestServiceClient(client(t, name)).FullDuplexCall(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			for range 3 { // it works as long as the door is open
				if how == "recv" {
					stream.Send(&grpc_testing.StreamingOutputCallRequest{})
				}
				if _, err := stream.Recv(); err != nil {
					t.Fatal(err)
				}
				if how == "context" {
					break
				}
			}
			closed.Store(true)
			_, err = stream.Recv()
			if status.Code(err) != codes.PermissionDenied {
				t.Errorf("the stream ended with %v", err)
			}
			wantText(t, err, "requires an open door")
		})
	}
}

// TestRecheckLeavesStreamsAlone: a stream that stays allowed is not disturbed.
func TestRecheckLeavesStreamsAlone(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{
		Recheck: time.Millisecond,
		Rules:   map[string]grpcpipe.Requirement{"*": grpcpipe.SameUser()},
	})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, name, policy.ServerOptions()...)
	stream, err := grpc_testing.NewTestServiceClient(client(t, name)).FullDuplexCall(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	for i := range 500 {
		want := &grpc_testing.Payload{Body: []byte(fmt.Sprint(i))}
		if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: want}); err != nil {
			t.Fatal(err)
		}
		reply, err := stream.Recv()
		if err != nil || string(reply.Payload.Body) != string(want.Body) {
			t.Fatalf("message %d: %v, %v", i, reply, err)
		}
	}
	stream.CloseSend()
	if _, err := stream.Recv(); err != io.EOF {
		t.Errorf("the end: %v", err)
	}
}

// FuzzPolicyPattern: a pattern is refused or it names exactly what it says.
func FuzzPolicyPattern(f *testing.F) {
	for _, s := range []string{"*", "/a.B/C", "/a.B/*", "/", "//", "/*/", "a/b", "/a/b/c"} {
		f.Add(s, "/a.B/C")
	}
	f.Fuzz(func(t *testing.T, pattern, method string) {
		policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{Rules: map[string]grpcpipe.Requirement{pattern: grpcpipe.AnyPeer()}})
		if err != nil {
			return
		}
		allowed := policy.Allow(as(self), method) == nil
		service, _ := strings.CutSuffix(pattern, "*")
		rest, inService := strings.CutPrefix(method, service)
		want := pattern == "*" || method == pattern || service != pattern && inService && !strings.Contains(rest, "/")
		if allowed != want {
			t.Errorf("%q with the pattern %q: allowed %v", method, pattern, allowed)
		}
	})
}

// hundredRules is a policy of 100 rules whose last but one is looked for.
func hundredRules(tb testing.TB) *grpcpipe.Policy {
	rules := map[string]grpcpipe.Requirement{"/pkg.Service99/*": grpcpipe.AnyOf(grpcpipe.Administrators(), grpcpipe.SameUser())}
	for i := range 99 {
		rules[fmt.Sprintf("/pkg.Service%d/Method%d", i, i)] = grpcpipe.Administrators()
	}
	policy, err := grpcpipe.NewPolicy(grpcpipe.PolicyConfig{Rules: rules})
	if err != nil {
		tb.Fatal(err)
	}
	return policy
}

func TestPolicyAllocatesNothing(t *testing.T) {
	policy, ctx := hundredRules(t), as(self)
	if n := testing.AllocsPerRun(100, func() {
		if err := policy.Allow(ctx, "/pkg.Service99/Method"); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func BenchmarkPolicy100Rules(b *testing.B) {
	policy, ctx := hundredRules(b), as(self)
	b.ReportAllocs()
	for b.Loop() {
		if err := policy.Allow(ctx, "/pkg.Service99/Method"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkConnectIdentity is a dial and a first call, with the credentials that
// ask who is there and with those that don't.
func BenchmarkConnectIdentity(b *testing.B) {
	for _, asked := range []bool{true, false} {
		b.Run(fmt.Sprintf("asked=%v", asked), func(b *testing.B) {
			name := pipeName(b)
			opts := grpcpipe.ServerOptions()
			if !asked {
				opts = append(opts, grpc.Creds(insecure.NewCredentials()))
			}
			serveWith(b, name, &service{}, opts...)
			var dopts []grpc.DialOption
			if !asked {
				dopts = append(dopts, grpc.WithTransportCredentials(insecure.NewCredentials()))
			}
			b.ReportAllocs()
			for b.Loop() {
				cc, err := grpcpipe.NewClient(name, dopts...)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := call(b.Context(), cc); err != nil {
					b.Fatal(err)
				}
				cc.Close()
			}
		})
	}
}
