package grpcpipe

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Policy decides, method by method, who may call. What no pattern names is
// refused. Make one with NewPolicy; it may be used by any number of servers and
// goroutines and is not changed by use.
type Policy struct {
	methods  map[string]Requirement // by /pkg.Service/Method
	services map[string]Requirement // by /pkg.Service/
	rest     Requirement
	log      *slog.Logger
	every    time.Duration
}

// PolicyConfig is what a Policy is made of.
type PolicyConfig struct {
	// Rules maps method patterns to requirements. A pattern is a method as it
	// stands on the wire, /pkg.Service/Method; all methods of a service,
	// /pkg.Service/*; or everything else, *. The most exact one counts.
	Rules map[string]Requirement

	// Recheck, if not 0, ends a stream whose client's process has gone, or
	// whose caller the policy refuses by then. Each stream is looked at so
	// often.
	Recheck time.Duration

	// Logger is told who was refused what and why. Nil means silence.
	Logger *slog.Logger
}

// NewPolicy makes a Policy. The error names every pattern that can't be read and
// every requirement that can't be had, such as a user who doesn't exist.
func NewPolicy(cfg PolicyConfig) (*Policy, error) {
	p := &Policy{
		methods: map[string]Requirement{}, services: map[string]Requirement{},
		log: cfg.Logger, every: cfg.Recheck,
	}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	var errs error
	for _, pattern := range slices.Sorted(keys(cfg.Rules)) {
		r := cfg.Rules[pattern]
		if r.err != nil {
			errs = errors.Join(errs, fmt.Errorf("grpcpipe: policy for %q: %w", pattern, r.err))
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
		errs = errors.Join(errs, fmt.Errorf("grpcpipe: PolicyConfig.Recheck is %v: it can't be negative", cfg.Recheck))
	}
	if errs != nil {
		return nil, errs
	}
	return p, nil
}

func keys(m map[string]Requirement) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// splitPattern takes a pattern apart. The service keeps its slashes; both parts
// are empty for the pattern *.
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
		return "", "", fmt.Errorf("grpcpipe: bad policy pattern %q: write /pkg.Service/Method, /pkg.Service/* or *", pattern)
	}
	return service, method, nil
}

// rule finds the requirement for a method as it stands on the wire.
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

// Allow decides about one call: nil, or a status error with the code
// PermissionDenied that says what the method requires, and no more.
func (p *Policy) Allow(ctx context.Context, method string) error {
	r := p.rule(method)
	caller, ok := PeerFromContext(ctx)
	var why error
	if ok {
		why = r.check(ctx, caller)
	} else {
		why = errors.New("the caller did not come over a pipe that the server's credentials know: use grpcpipe.ServerOptions")
	}
	if why == nil {
		return nil
	}
	p.refused(ctx, method, caller, r, why)
	if why == errAnonymous {
		return status.Errorf(codes.PermissionDenied, "%s requires %s; %v", method, r, why)
	}
	return status.Errorf(codes.PermissionDenied, "%s requires %s", method, r)
}

func (p *Policy) refused(ctx context.Context, method string, caller *namedpipe.Peer, r Requirement, why error) {
	who := "unknown"
	if caller != nil {
		who = caller.String()
	}
	p.log.WarnContext(ctx, "grpcpipe: call refused", "method", method, "caller", who, "requires", r.String(), "error", why)
}

// UnaryInterceptor returns the policy as an interceptor for calls without
// streams.
func (p *Policy) UnaryInterceptor() grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
		if err := p.Allow(ctx, info.FullMethod); err != nil {
			return nil, err
		}
		return handler(ctx, req)
	}
}

// StreamInterceptor returns the policy as an interceptor for streams.
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

// ServerOptions returns the policy as options for grpc.NewServer, to be chained
// with other interceptors, beside those of the package's ServerOptions.
func (p *Policy) ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(p.UnaryInterceptor()),
		grpc.ChainStreamInterceptor(p.StreamInterceptor()),
	}
}
