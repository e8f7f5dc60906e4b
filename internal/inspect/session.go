package inspect

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"golang.org/x/net/http2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Session is a channel that has connected, with a record of how. Its methods
// are safe for concurrent use.
type Session struct {
	*grpc.ClientConn
	cfg   Config
	trace *trace
}

// Options returns the options for a channel to the server that cfg names, for
// callers that measure: nothing watches its connections as in a Session.
func Options(cfg Config) ([]grpc.DialOption, error) {
	d, opts, err := prepare(&cfg)
	if err != nil {
		return nil, err
	}
	if d.tls {
		opts = append(opts, grpc.WithTransportCredentials(credentials.NewTLS(cfg.TLS)))
	}
	if d.isPipe {
		opts = append(opts, grpcpipe.WithDialer(&namedpipe.Dialer{Server: cfg.Trust}))
	}
	return append(opts, cfg.Options...), nil
}

// prepare makes the dialer and the options of a channel, and sets cfg.TLS for a
// target that requires it.
func prepare(cfg *Config) (*dialer, []grpc.DialOption, error) {
	t, err := target.Parse(cfg.Target)
	if err != nil {
		return nil, nil, badTarget(err)
	}
	if t.TLS && cfg.TLS == nil {
		cfg.TLS = &tls.Config{}
	}
	d := &dialer{trace: &trace{}, cfg: cfg, isPipe: t.Kind == target.Pipes, tls: cfg.TLS != nil}
	opts := []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(cfg.maxMessage()), grpc.MaxCallSendMsgSize(1<<31-1)),
	}
	if cfg.UserAgent != "" {
		opts = append(opts, grpc.WithUserAgent(cfg.UserAgent))
	}
	if cfg.Authority != "" {
		opts = append(opts, grpc.WithAuthority(cfg.Authority))
	}
	if !d.tls && !d.isPipe {
		opts = append(opts, grpc.WithTransportCredentials(insecure.NewCredentials()))
	}
	return d, opts, nil
}

// Dial connects to a server and waits until it has sent its HTTP/2 settings.
// The caller must close the session. The error is an *Error.
func Dial(ctx context.Context, cfg Config) (*Session, error) {
	d, opts, err := prepare(&cfg)
	if err != nil {
		return nil, err
	}
	if d.tls {
		opts = append(opts, grpc.WithTransportCredentials(tracedTLS{credentials.NewTLS(cfg.TLS), d}))
	}
	opts = append(opts, grpc.WithContextDialer(d.dial), grpc.WithConnectParams(grpc.ConnectParams{MinConnectTimeout: cfg.timeout() + time.Second}))
	cc, err := grpcpipe.NewClient(cfg.Target, append(opts, cfg.Options...)...)
	if err != nil {
		return nil, badTarget(err)
	}
	s := &Session{ClientConn: cc, cfg: cfg, trace: d.trace}
	// The dialer enforces the timeout and knows best what took the time.
	if err := s.becomeReady(ctx, cfg.timeout()+2*time.Second); err != nil {
		cc.Close()
		return nil, err
	}
	return s, nil
}

// Ready waits until a channel made with Options has connected.
func Ready(ctx context.Context, cc *grpc.ClientConn, cfg Config) error {
	s := &Session{ClientConn: cc, cfg: cfg, trace: &trace{}}
	return s.becomeReady(ctx, cfg.timeout())
}

func (s *Session) becomeReady(ctx context.Context, timeout time.Duration) error {
	limit, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	s.Connect()
	for {
		state := s.GetState()
		if state == connectivity.Ready {
			return nil
		}
		if state == connectivity.TransientFailure || !s.WaitForStateChange(limit, state) {
			break
		}
	}
	s.trace.mu.Lock()
	err := s.trace.err
	s.trace.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return interrupted()
	case err != nil:
		return Unreached(err, s.cfg.Words)
	case limit.Err() != nil:
		return &Error{Kind: Unreachable, Err: fmt.Errorf("%s: no connection in %v", s.cfg.Target, timeout), Next: "start the server, or check the address"}
	}
	// Nothing was dialed. The channel knows what is wrong, such as a name that
	// can't be resolved, and reports it to a call that doesn't wait for it to
	// be ready.
	_, err = healthpb.NewHealthClient(s).Check(limit, &healthpb.HealthCheckRequest{})
	text := status.Convert(err).Message()
	if err == nil || text == "" {
		text = "the connection failed before it was ready"
	}
	return &Error{Kind: Unreachable, Err: fmt.Errorf("%s: %s", s.cfg.Target, text), Next: "check the address, or start the server"}
}

// Target returns the target as it was given.
func (s *Session) Target() string { return s.cfg.Target }

// Addr returns the pipe's path or the network address of the last connection.
func (s *Session) Addr() string {
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	return s.trace.addr
}

// Peer returns the server's process, nil if it is unknown.
func (s *Session) Peer() *namedpipe.Peer { return s.trace.peer() }

// Stages returns how long connecting took.
func (s *Session) Stages() Stages { return s.trace.stages() }

// Settings returns the server's HTTP/2 settings that differ from the defaults.
func (s *Session) Settings() []http2.Setting {
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	return s.trace.settings
}

// TLS returns the TLS state of the last connection, nil without TLS.
func (s *Session) TLS() *tls.ConnectionState {
	s.trace.mu.Lock()
	defer s.trace.mu.Unlock()
	return s.trace.tls
}

// Health returns the health of a service, or of the whole server for "". The
// error is grpc's.
func (s *Session) Health(ctx context.Context, service string, opts ...grpc.CallOption) (healthpb.HealthCheckResponse_ServingStatus, error) {
	ctx = withHeaders(ctx, s.cfg.Headers)
	answer, err := healthpb.NewHealthClient(s).Check(ctx, &healthpb.HealthCheckRequest{Service: service}, opts...)
	return answer.GetStatus(), err
}

// withHeaders adds headers to those that ctx sends.
func withHeaders(ctx context.Context, headers ...metadata.MD) context.Context {
	own, _ := metadata.FromOutgoingContext(ctx)
	all := metadata.Join(append([]metadata.MD{own}, headers...)...)
	if len(all) == 0 {
		return ctx
	}
	return metadata.NewOutgoingContext(ctx, all)
}
