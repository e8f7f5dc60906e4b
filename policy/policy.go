// Package policy decides, method by method, which processes may call a gRPC
// server over pipes.
//
//	p, err := policy.New(policy.Config{Rules: map[string]policy.Requirement{
//		"/acme.Service/*":     policy.SameUser(),
//		"/acme.Service/Purge": policy.Administrators(),
//	}})
//	srv := grpc.NewServer(append(grpcpipe.ServerOptions(), p.ServerOptions()...)...)
package policy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/internal/loglimit"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Policy decides, method by method, who may call. Methods that match no
// pattern are denied. Make one with [New]. Any number of servers and goroutines
// may use it at the same time.
type Policy struct {
	methods  map[string]Requirement // by /pkg.Service/Method
	services map[string]Requirement // by /pkg.Service/
	rest     Requirement
	log      *slog.Logger // nil for silence
	limit    loglimit.Limiter
	every    time.Duration
}

// Config is what a Policy is made of. New copies it.
type Config struct {
	// Rules maps method patterns to requirements. A pattern is a full method
	// name, /pkg.Service/Method; all methods of a service, /pkg.Service/*; or
	// all methods, *. The most specific pattern applies, and no other.
	Rules map[string]Requirement

	// Recheck is the interval at which open streams are re-authorized; 0
	// disables it. A stream ends when its caller is no longer allowed or its
	// caller's process is gone: its context is canceled, and its handler's calls
	// of RecvMsg and SendMsg return the error that the caller gets. A RecvMsg
	// that is waiting returns at once if its message is a protobuf message, else
	// with the next message; a SendMsg that is waiting returns when the caller
	// reads or disconnects.
	Recheck time.Duration

	// Logger gets a warning for each refused call: who was refused what, and
	// why. Of a flood it gets 10 at once and one a second; the next warning has
	// the number of those left out, as "omitted". Nil means no logging.
	Logger *slog.Logger
}

// New makes a Policy. The error names every pattern that can't be parsed and
// every requirement that can't be met, such as a user who doesn't exist.
func New(cfg Config) (*Policy, error) {
	p := &Policy{
		methods: map[string]Requirement{}, services: map[string]Requirement{},
		log: cfg.Logger, every: cfg.Recheck,
	}
	var errs error
	for _, pattern := range slices.Sorted(maps.Keys(cfg.Rules)) {
		r := cfg.Rules[pattern]
		if r.err != nil {
			errs = errors.Join(errs, fmt.Errorf("policy: rule for %q: %w", pattern, r.err))
		}
		service, method, err := splitPattern(pattern)
		switch {
		case err != nil:
			errs = errors.Join(errs, err)
		case service == "":
			p.rest = r
		case method == "*":
			p.services[service] = r
		default:
			p.methods[pattern] = r
		}
	}
	if cfg.Recheck < 0 {
		errs = errors.Join(errs, fmt.Errorf("policy: Config.Recheck is %v: it can't be negative", cfg.Recheck))
	}
	if errs != nil {
		return nil, errs
	}
	return p, nil
}

// splitPattern takes a pattern apart. The service keeps its slashes and is empty
// for the pattern *.
func splitPattern(pattern string) (service, method string, err error) {
	if pattern == "*" {
		return "", "*", nil
	}
	end := strings.LastIndexByte(pattern, '/')
	if end > 0 && pattern[0] == '/' {
		service, method = pattern[:end+1], pattern[end+1:]
	}
	switch {
	case len(service) < 3, method == "",
		strings.Contains(service[1:end], "/"),
		strings.Contains(service, "*"),
		method != "*" && strings.Contains(method, "*"),
		strings.ContainsAny(pattern, " \t\r\n\x00"):
		return "", "", fmt.Errorf("policy: bad pattern %q: write /pkg.Service/Method, /pkg.Service/* or *", pattern)
	}
	return service, method, nil
}

// rule finds the requirement for a full method name.
func (p *Policy) rule(method string) Requirement {
	if r, ok := p.methods[method]; ok {
		return r
	}
	if end := strings.LastIndexByte(method, '/'); end >= 0 {
		if r, ok := p.services[method[:end+1]]; ok {
			return r
		}
	}
	return p.rest
}

// Allow decides about one call, from the peer in its context. It returns nil, or
// a status error with the code PermissionDenied that says what the method
// requires, and no more.
func (p *Policy) Allow(ctx context.Context, method string) error {
	r := p.rule(method)
	caller, ok := creds.FromContext(ctx)
	var why error
	if ok {
		why = r.check(ctx, caller)
	} else {
		why = errors.New("the server's credentials don't identify the caller: make the server with grpcpipe.ServerOptions")
	}
	if why == nil {
		return nil
	}
	p.refused(ctx, method, caller, r, why)
	text := method + " requires " + r.String()
	if r.met == nil {
		text = method + " may not be called by anyone"
	} else if why == errAnonymous {
		text += "; " + why.Error()
	}
	return status.Error(codes.PermissionDenied, text)
}

func (p *Policy) refused(ctx context.Context, method string, caller *namedpipe.Peer, r Requirement, why error) {
	if p.log == nil {
		return
	}
	p.limit.Warn(ctx, p.log, "policy: call refused", func() []any {
		who := "unknown"
		if caller != nil {
			who = caller.String()
		}
		return []any{"method", method, "caller", who, "requires", r.String(), "error", why}
	})
}

// UnaryInterceptor returns the policy as an interceptor for unary calls. A
// server needs StreamInterceptor too, or its streams are open to everyone.
func (p *Policy) UnaryInterceptor() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := p.Allow(ctx, info.FullMethod); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

// StreamInterceptor returns the policy as an interceptor for streams. A server
// needs UnaryInterceptor too, or its unary calls are open to everyone.
func (p *Policy) StreamInterceptor() grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
		if err := p.Allow(stream.Context(), info.FullMethod); err != nil {
			return err
		}
		if p.every == 0 {
			return handler(srv, stream)
		}
		return p.watch(srv, stream, info.FullMethod, handler)
	}
}

// ServerOptions returns both interceptors as options for grpc.NewServer. Chain
// them with others, after the options that set the server's credentials.
func (p *Policy) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(p.UnaryInterceptor()),
		grpc.ChainStreamInterceptor(p.StreamInterceptor()),
	}
}
