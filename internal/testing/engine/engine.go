// Package engine has both implementations of gRPC in one table: grpc-go with the
// options of package grpcpipe, and package fastgrpc. A test that holds for both
// takes an Engine.
package engine

import (
	"context"
	"fmt"
	"net"
	"reflect"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"
	"google.golang.org/grpc/stats"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
)

// A Server is what both implementations' servers can do.
type Server interface {
	grpc.ServiceRegistrar
	reflection.ServiceInfoProvider
	Serve(net.Listener) error
	Stop()
	GracefulStop()
}

// A Conn is what both implementations' clients can do.
type Conn interface {
	grpc.ClientConnInterface
	Target() string
	Connect()
	GetState() connectivity.State
	WaitForStateChange(context.Context, connectivity.State) bool
	Close() error
}

// An Engine is an implementation of gRPC. Both are configured by the structs of
// package fastgrpc.
type Engine struct {
	Name      string
	NewServer func(fastgrpc.ServerConfig) Server
	NewClient func(target string, cfg fastgrpc.ClientConfig) (Conn, error)
}

// GRPC is grpc-go as package grpcpipe configures it.
var GRPC = Engine{Name: "grpc-go", NewServer: grpcServer, NewClient: grpcClient}

// Fast is package fastgrpc.
var Fast = Engine{
	Name:      "fastgrpc",
	NewServer: func(cfg fastgrpc.ServerConfig) Server { return fastgrpc.NewServer(cfg) },
	NewClient: func(target string, cfg fastgrpc.ClientConfig) (Conn, error) { return fastgrpc.NewClient(target, cfg) },
}

// All are the implementations.
var All = []Engine{GRPC, Fast}

// NewTestServer returns a server with all that the interop cases need.
func (e Engine) NewTestServer(cfg fastgrpc.ServerConfig) Server {
	if cfg.MaxRecvMessage == 0 {
		cfg.MaxRecvMessage = interoptest.MaxMessage
	}
	cfg.StatsHandlers = append(slices.Clip(cfg.StatsHandlers), interoptest.CompressionStats())
	s := e.NewServer(cfg)
	interoptest.RegisterAll(s)
	return s
}

// NewTarget returns a client for the interop cases. The caller closes the Conn,
// which is the target's.
func (e Engine) NewTarget(target string, cfg fastgrpc.ClientConfig) (interoptest.Target, Conn, error) {
	cc, err := e.NewClient(target, cfg)
	if err != nil {
		return interoptest.Target{}, nil, err
	}
	dial := func(watch ...stats.Handler) (interoptest.Conn, error) {
		cfg := cfg
		cfg.StatsHandlers = slices.Concat(cfg.StatsHandlers, watch)
		return e.NewClient(target, cfg)
	}
	return interoptest.Target{Conn: cc, Dial: dial}, cc, nil
}

// Named returns the implementation of the name.
func Named(name string) Engine {
	return All[slices.IndexFunc(All, func(e Engine) bool { return e.Name == name })]
}

// Each runs the test as a subtest for each implementation.
func Each(t *testing.T, test func(*testing.T, Engine)) {
	t.Helper()
	for _, e := range All {
		t.Run(e.Name, func(t *testing.T) { test(t, e) })
	}
}

func grpcServer(cfg fastgrpc.ServerConfig) Server {
	opts := grpcpipe.ServerOptions()
	if cfg.Credentials != nil {
		opts = append(opts, grpc.Creds(cfg.Credentials))
	}
	if cfg.MaxRecvMessage != 0 {
		opts = append(opts, grpc.MaxRecvMsgSize(cfg.MaxRecvMessage))
	}
	if cfg.MaxSendMessage != 0 {
		opts = append(opts, grpc.MaxSendMsgSize(cfg.MaxSendMessage))
	}
	for _, h := range cfg.StatsHandlers {
		opts = append(opts, grpc.StatsHandler(h))
	}
	if cfg.KeepAlive != (keepalive.ServerParameters{}) {
		opts = append(opts, grpc.KeepaliveParams(cfg.KeepAlive))
	}
	if d := cfg.Limits.Handshake; d != 0 {
		opts = append(opts, grpc.ConnectionTimeout(d))
	}
	if n := cfg.Limits.Streams; n != 0 {
		opts = append(opts, grpc.MaxConcurrentStreams(n))
	}
	cfg.Limits.Streams = 0
	opts = append(opts, grpc.ChainUnaryInterceptor(cfg.UnaryInterceptors...), grpc.ChainStreamInterceptor(cfg.StreamInterceptors...))
	cfg.Credentials, cfg.MaxRecvMessage, cfg.MaxSendMessage, cfg.StatsHandlers, cfg.Limits.Handshake = nil, 0, 0, nil, 0
	cfg.UnaryInterceptors, cfg.StreamInterceptors, cfg.KeepAlive = nil, nil, keepalive.ServerParameters{}
	mustBeZero(cfg)
	return grpc.NewServer(opts...)
}

func grpcClient(target string, cfg fastgrpc.ClientConfig) (Conn, error) {
	var opts []grpc.DialOption
	if cfg.Credentials != nil {
		opts = append(opts, grpc.WithTransportCredentials(cfg.Credentials))
	}
	if cfg.Dialer != nil {
		opts = append(opts, grpcpipe.WithDialer(cfg.Dialer))
	}
	for _, h := range cfg.StatsHandlers {
		opts = append(opts, grpc.WithStatsHandler(h))
	}
	for _, c := range cfg.PerRPCCredentials {
		opts = append(opts, grpc.WithPerRPCCredentials(c))
	}
	if cfg.RoundRobin {
		opts = append(opts, grpc.WithDefaultServiceConfig(`{"loadBalancingConfig":[{"round_robin":{}}]}`))
	}
	if n := cfg.Connections; n != 0 {
		opts = append(opts, grpcpipe.WithConnections(n))
	}
	if d := cfg.ConnectTimeout; d != 0 {
		opts = append(opts, grpc.WithConnectParams(grpc.ConnectParams{Backoff: shortBackoff, MinConnectTimeout: d}))
	}
	if d := cfg.IdleTimeout; d != 0 {
		opts = append(opts, grpc.WithIdleTimeout(d))
	}
	if cfg.Authority != "" {
		opts = append(opts, grpc.WithAuthority(cfg.Authority))
	}
	if cfg.KeepAlive != (keepalive.ClientParameters{}) {
		opts = append(opts, grpc.WithKeepaliveParams(cfg.KeepAlive))
	}
	cfg.PerRPCCredentials, cfg.RoundRobin, cfg.Connections, cfg.ConnectTimeout, cfg.IdleTimeout = nil, false, 0, 0, 0
	cfg.Authority, cfg.KeepAlive = "", keepalive.ClientParameters{}
	opts = append(opts, grpc.WithDefaultCallOptions(cfg.CallOptions...))
	cfg.Credentials, cfg.Dialer, cfg.StatsHandlers, cfg.CallOptions = nil, nil, nil, nil
	mustBeZero(cfg)
	return grpcpipe.NewClient(target, opts...)
}

// shortBackoff is as short as package grpcpipe's: an attempt takes at least as long as
// the pause before it.
var shortBackoff = backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second}

// mustBeZero keeps a test from setting what isn't translated to grpc-go.
func mustBeZero(rest any) {
	if !reflect.ValueOf(rest).IsZero() {
		panic(fmt.Sprintf("engine: not translated for grpc-go: %+v", rest))
	}
}
