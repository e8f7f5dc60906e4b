package policy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
	"github.com/grpcpipe/grpcpipe/policy"
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
	sandbox   = &namedpipe.Peer{UserProven: true, SameUser: true, User: namedpipe.Account{ID: "1000"}, Integrity: "low", Package: "S-1-15-2-1"}
	allPeers  = map[string]*namedpipe.Peer{"self": self, "sandbox": sandbox, "stranger": stranger, "admin": admin, "unraised": unraised, "anonymous": anonymous, "anonSelf": anonSelf}
)

// TestRequirements: who meets what. On Windows names and numbers are accounts of
// the system, so User and Group are in TestPolicyOnTheWire.
func TestRequirements(t *testing.T) {
	odd := errors.New("odd")
	for _, test := range []struct {
		r    policy.Requirement
		met  string
		says string
	}{
		{policy.Requirement{}, "", "/s/m may not be called by anyone"},
		{policy.AnyPeer(), "self sandbox stranger admin unraised anonymous anonSelf", "any process"},
		{policy.SameUser(), "self sandbox anonSelf", "the user that the server runs as"},
		{policy.Administrators(), "admin", "an administrator"},
		{policy.HintPID(7), "self", "process 7"},
		{policy.AllOf(policy.SameUser(), policy.HintPID(7)), "self", " and "},
		{policy.AnyOf(policy.Administrators(), policy.HintPID(8)), "admin stranger", " or "},
		{policy.Check("an even id", func(_ context.Context, p *namedpipe.Peer) error {
			if strings.HasSuffix(p.User.ID, "1") {
				return odd
			}
			return nil
		}), "self sandbox admin unraised anonymous anonSelf", "an even id"},
		{policy.AllOf(policy.SameUser(), policy.Check("no sandbox", func(_ context.Context, p *namedpipe.Peer) error {
			if p.Package != "" || p.Integrity == "low" {
				return odd
			}
			return nil
		})), "self anonSelf", "no sandbox"},
	} {
		guard, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{"*": test.r}})
		if err != nil {
			t.Fatal(err)
		}
		for who, p := range allPeers {
			err := guard.Allow(as(p), "/s/m")
			if want := strings.Contains(" "+test.met+" ", " "+who+" "); (err == nil) != want {
				t.Errorf("%s for %s: %v", test.r, who, err)
			}
			if err == nil {
				continue
			}
			if status.Code(err) != codes.PermissionDenied || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%s for %s: %v", test.r, who, err)
			}
			if errors.Is(err, odd) || strings.Contains(err.Error(), "odd") || p.User.ID != "" && strings.Contains(err.Error(), p.User.ID) {
				t.Errorf("%s for %s: the text says more than the requirement: %v", test.r, who, err)
			}
			if who == "anonymous" && test.met != "" && !strings.Contains(err.Error(), "TokenImpersonationLevel.Identification") {
				t.Errorf("%s for %s: %v doesn't name the client's option", test.r, who, err)
			}
		}
	}
}

// TestMostExactPattern: a method before its service before everything else, and
// nothing without a pattern.
func TestMostExactPattern(t *testing.T) {
	guard, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{
		"/pkg.S/Open":   policy.AnyPeer(),
		"/pkg.S/*":      policy.SameUser(),
		"/pkg.Admin/*":  policy.Administrators(),
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
			if err := guard.Allow(as(p), method); (err == nil) != strings.Contains(want, who) {
				t.Errorf("%s by %s: %v", method, who, err)
			}
		}
	}
	if err := guard.Allow(context.Background(), "/pkg.S/Open"); status.Code(err) != codes.PermissionDenied {
		t.Errorf("an unknown caller: %v", err)
	}
}

func TestBadPolicy(t *testing.T) {
	for _, pattern := range []string{"", "/", "//", "/*", "/pkg.S", "pkg.S/M", "/pkg.S/", "/pkg.*/M", "/pkg.S/M*", "/a/b/c", "**", "/pkg.S/M ", "*/M"} {
		_, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{pattern: policy.AnyPeer()}})
		wantText(t, err, fmt.Sprintf("%q", pattern), "write /pkg.Service/Method, /pkg.Service/* or *")
	}
	for text, r := range map[string]policy.Requirement{
		"no such user":                          policy.User("no such user"),
		"no such group":                         policy.Group("no such group"),
		"Check needs a function":                policy.Check("x", nil),
		"at least one":                          policy.AnyOf(),
		"no such member":                        policy.AllOf(policy.SameUser(), policy.User("no such member")),
		"no such one":                           policy.AnyOf(policy.SameUser(), policy.Group("no such one")),
		"the name is empty":                     policy.User(""),
		"name is empty: name a user or a group": policy.Group(""),
		"no process has the id 0":               policy.HintPID(0),
		"no process has the id -1":              policy.HintPID(-1),
		`full path of a program, not ""`:        policy.HintExecutable(""),
		`full path of a program, not "sh"`:      policy.HintExecutable("sh"),
		`full path of a program, not "./bin/x"`: policy.HintExecutable("./bin/x"),
		"session":                               policy.Session(-1),
	} {
		_, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{"*": r}})
		wantText(t, err, text)
	}
	if _, err := policy.New(policy.Config{Recheck: -1}); err == nil {
		t.Error("a negative Recheck is taken")
	}
	_, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{"*": policy.Session(0)}})
	if runtime.GOOS != "windows" {
		if !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("a session off Windows: %v", err)
		}
	} else if err != nil {
		t.Error(err)
	}
}

// TestIntegrity: a sandboxed program of the same user is below medium.
func TestIntegrity(t *testing.T) {
	for least, met := range map[string][]string{
		"low": {"low", "medium", "high", "system"}, "medium": {"medium", "high", "system"}, "high": {"high", "system"}, "system": {"system"},
		"untrusted": nil, "": nil, "Medium": nil,
	} {
		guard, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{"*": policy.AllOf(policy.SameUser(), policy.Integrity(least))}})
		if runtime.GOOS != "windows" {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("an integrity off Windows: %v", err)
			}
			continue
		}
		if (err == nil) != (met != nil) {
			t.Errorf("%q: %v", least, err)
		}
		if err != nil {
			continue
		}
		for _, level := range []string{"", "untrusted", "low", "medium", "high", "system", "other"} {
			for _, proven := range []bool{true, false} {
				p := *self
				p.Integrity, p.UserProven = level, proven
				if err := guard.Allow(as(&p), "/s/m"); (err == nil) != (proven && slices.Contains(met, level)) {
					t.Errorf("at least %s, integrity %q, proven %v: %v", least, level, proven, err)
				}
			}
		}
	}
}

// TestSession: a session is one of this machine.
func TestSession(t *testing.T) {
	if runtime.GOOS != "windows" {
		t.Skip("sessions are Windows's")
	}
	guard, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{"*": policy.Session(2)}})
	if err != nil {
		t.Fatal(err)
	}
	remote := *stranger
	remote.Remote = true
	for p, want := range map[*namedpipe.Peer]bool{self: false, stranger: true, anonymous: false, &remote: false} {
		if err := guard.Allow(as(p), "/s/m"); (err == nil) != want {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// TestHintExecutable: a program is known by its file.
func TestHintExecutable(t *testing.T) {
	lis, err := namedpipe.Listen(t.Context(), testproc.PipeName())
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	c, err := namedpipe.Dial(t.Context(), lis.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	server, err := c.Peer()
	if err != nil {
		t.Fatal(err)
	}
	if server.Executable == "" {
		t.Skip("this system doesn't report a process's program")
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{own: true, other: false, other + "-missing": false} {
		guard, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{"*": policy.HintExecutable(path)}})
		if err != nil {
			t.Fatal(err)
		}
		if err := guard.Allow(as(server), "/s/m"); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestRulesAreCopied: what the caller does with its slices and maps later changes
// no policy.
func TestRulesAreCopied(t *testing.T) {
	parts := []policy.Requirement{policy.Administrators()}
	rules := map[string]policy.Requirement{"/a.B/All": policy.AllOf(parts...), "/a.B/Any": policy.AnyOf(parts...)}
	guard, err := policy.New(policy.Config{Rules: rules})
	if err != nil {
		t.Fatal(err)
	}
	parts[0], rules["*"] = policy.AnyPeer(), policy.AnyPeer()
	for _, method := range []string{"/a.B/All", "/a.B/Any", "/a.B/Other"} {
		if guard.Allow(as(stranger), method) == nil {
			t.Errorf("%s is open", method)
		}
	}
}

// TestZeroPolicy: a Policy that nobody made refuses.
func TestZeroPolicy(t *testing.T) {
	if err := new(policy.Policy).Allow(as(self), "/s/m"); status.Code(err) != codes.PermissionDenied {
		t.Error(err)
	}
}

// FuzzPolicyPattern: a pattern is refused or it names exactly what it says.
func FuzzPolicyPattern(f *testing.F) {
	for _, s := range []string{"*", "/a.B/C", "/a.B/*", "/", "//", "/*/", "a/b", "/a/b/c"} {
		f.Add(s, "/a.B/C")
	}
	f.Fuzz(func(t *testing.T, pattern, method string) {
		guard, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{pattern: policy.AnyPeer()}})
		if err != nil {
			return
		}
		allowed := guard.Allow(as(self), method) == nil
		service, _ := strings.CutSuffix(pattern, "*")
		rest, inService := strings.CutPrefix(method, service)
		want := pattern == "*" || method == pattern || service != pattern && inService && !strings.Contains(rest, "/")
		if allowed != want {
			t.Errorf("%q with the pattern %q: allowed %v", method, pattern, allowed)
		}
	})
}

// hundredRules is a policy of 100 rules whose last but one is looked for.
func hundredRules(tb testing.TB) *policy.Policy {
	rules := map[string]policy.Requirement{"/pkg.Service99/*": policy.AnyOf(policy.Administrators(), policy.SameUser())}
	for i := range 99 {
		rules[fmt.Sprintf("/pkg.Service%d/Method%d", i, i)] = policy.Administrators()
	}
	guard, err := policy.New(policy.Config{Rules: rules})
	if err != nil {
		tb.Fatal(err)
	}
	return guard
}

func TestPolicyAllocatesNothing(t *testing.T) {
	guard, ctx := hundredRules(t), as(self)
	if n := testing.AllocsPerRun(100, func() {
		if err := guard.Allow(ctx, "/pkg.Service99/Method"); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

func BenchmarkPolicy100Rules(b *testing.B) {
	guard, ctx := hundredRules(b), as(self)
	b.ReportAllocs()
	for b.Loop() {
		if err := guard.Allow(ctx, "/pkg.Service99/Method"); err != nil {
			b.Fatal(err)
		}
	}
}
