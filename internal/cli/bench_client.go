package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// The clients that a bench can drive load through.
const (
	clientFast = "fastgrpc"
	clientGo   = "grpc-go"
)

// A client makes the calls of a bench.
type client interface {
	grpc.ClientConnInterface
	io.Closer
}

// canBeFast reports whether fastgrpc can do what the flags say.
func canBeFast(cfg inspect.Config) bool {
	t, err := target.Parse(cfg.Target)
	return err == nil && len(cfg.Options) == 0 && (len(t.Paths) == 1 || t.Kind == target.HostPort || t.Scheme == "unix")
}

// fullClient is a channel of grpc-go's.
func fullClient(ctx context.Context, cfg inspect.Config, opts []grpc.CallOption) (client, error) {
	all, err := inspect.Options(cfg)
	if err != nil {
		return nil, err
	}
	cc, err := grpcpipe.NewClient(cfg.Target, append(all, grpc.WithDefaultCallOptions(opts...))...)
	if err != nil {
		return nil, internal(err)
	}
	if err := inspect.Ready(ctx, cc, cfg); err != nil {
		cc.Close()
		return nil, err
	}
	return cc, nil
}

// fastClient costs a part of that, so that what is measured is the server.
func fastClient(ctx context.Context, cfg inspect.Config, opts []grpc.CallOption) (client, error) {
	fc := fastgrpc.ClientConfig{
		Dialer: &namedpipe.Dialer{Server: cfg.Trust}, Authority: cfg.Authority, UserAgent: cfg.UserAgent, ConnectTimeout: cfg.Timeout,
		CallOptions: append(opts, grpc.MaxCallRecvMsgSize(cfg.MaxMessage)),
	}
	t, err := target.Parse(cfg.Target)
	if err != nil {
		return nil, badTarget(err)
	}
	switch {
	case cfg.TLS != nil:
		fc.Credentials = credentials.NewTLS(cfg.TLS)
	case t.TLS:
		fc.Credentials = credentials.NewTLS(&tls.Config{})
	case t.Kind != target.Pipes:
		fc.Credentials = insecure.NewCredentials()
	}
	cc, err := fastgrpc.NewClient(cfg.Target, fc)
	if err != nil {
		return nil, internal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.Timeout)
	defer cancel()
	for cc.Connect(); ; {
		switch state := cc.GetState(); {
		case state == connectivity.Ready:
			return cc, nil
		case state == connectivity.TransientFailure || !cc.WaitForStateChange(ctx, state):
			cc.Close()
			return nil, &failure{exit: exitConnect, err: fmt.Errorf("%s: can't open another connection", cfg.Target), hint: "give fewer --connections, or see the server's log"}
		}
	}
}
