package fastgrpc_test

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A service is a test service whose methods are set by each test.
type service struct {
	testpb.UnimplementedTestServiceServer
	unary func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error)
	out   func(*testpb.StreamingOutputCallRequest, grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error
	in    func(grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error
	full  func(grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error
}

func (s *service) UnaryCall(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return s.unary(ctx, in)
}

func (s *service) StreamingOutputCall(in *testpb.StreamingOutputCallRequest, st grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
	return s.out(in, st)
}

func (s *service) StreamingInputCall(st grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
	return s.in(st)
}

func (s *service) FullDuplexCall(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
	return s.full(st)
}

// A pair is a client and a server of either engine.
type pair struct {
	*testing.T
	server, client string
	*service
	pipe string
	// What both engines' servers have in common.
	srv interface {
		Stop()
		GracefulStop()
	}
	cc    grpc.ClientConnInterface
	calls testpb.TestServiceClient
}

type setup struct {
	server fastgrpc.ServerConfig
	client fastgrpc.ClientConfig
}

// inPairs runs a test with each engine at each end. What differs between them is
// an error of ours.
func inPairs(t *testing.T, s setup, test func(*pair)) {
	t.Helper()
	for _, server := range []string{"fastgrpc", "grpc-go"} {
		for _, client := range []string{"fastgrpc", "grpc-go"} {
			t.Run(client+" to "+server, func(t *testing.T) {
				t.Parallel()
				p := newPair(t, server, client)
				p.serve(s.server)
				p.dial(s.client)
				test(p)
			})
		}
	}
}

// newPair returns a pair that neither serves nor dials yet.
func newPair(t *testing.T, server, client string) *pair {
	return &pair{T: t, server: server, client: client, service: &service{}, pipe: testproc.PipeName()}
}

func (p *pair) serve(cfg fastgrpc.ServerConfig) {
	p.Helper()
	lis, err := namedpipe.Listen(p.Context(), p.pipe)
	if err != nil {
		p.Fatal(err)
	}
	var srv interface {
		grpc.ServiceRegistrar
		Serve(net.Listener) error
		Stop()
		GracefulStop()
	}
	if p.server == "fastgrpc" {
		srv = fastgrpc.NewServer(cfg)
	} else {
		opts := grpcpipe.ServerOptions()
		if cfg.MaxRecvMessage > 0 {
			opts = append(opts, grpc.MaxRecvMsgSize(cfg.MaxRecvMessage))
		}
		if cfg.MaxSendMessage > 0 {
			opts = append(opts, grpc.MaxSendMsgSize(cfg.MaxSendMessage))
		}
		for _, h := range cfg.StatsHandlers {
			opts = append(opts, grpc.StatsHandler(h))
		}
		if cfg.UnknownService != nil {
			opts = append(opts, grpc.UnknownServiceHandler(cfg.UnknownService))
		}
		opts = append(opts, grpc.ChainUnaryInterceptor(cfg.UnaryInterceptors...), grpc.ChainStreamInterceptor(cfg.StreamInterceptors...))
		srv = grpc.NewServer(opts...)
	}
	testpb.RegisterTestServiceServer(srv, p.service)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(lis) }()
	p.srv = srv
	p.Cleanup(func() {
		srv.Stop()
		if err := <-done; err != nil {
			p.Errorf("Serve: %v", err)
		}
	})
}

func (p *pair) dial(cfg fastgrpc.ClientConfig) {
	p.Helper()
	var cc interface {
		grpc.ClientConnInterface
		Close() error
	}
	var err error
	if p.client == "fastgrpc" {
		cc, err = fastgrpc.NewClient(p.pipe, cfg)
	} else {
		var opts []grpc.DialOption
		for _, h := range cfg.StatsHandlers {
			opts = append(opts, grpc.WithStatsHandler(h))
		}
		for _, c := range cfg.PerRPCCredentials {
			opts = append(opts, grpc.WithPerRPCCredentials(c))
		}
		opts = append(opts, grpc.WithDefaultCallOptions(cfg.CallOptions...), grpc.WithUserAgent(cfg.UserAgent),
			grpc.WithChainUnaryInterceptor(cfg.UnaryInterceptors...), grpc.WithChainStreamInterceptor(cfg.StreamInterceptors...))
		cc, err = grpcpipe.NewClient(p.pipe, opts...)
	}
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(func() { cc.Close() })
	p.cc, p.calls = cc, testpb.NewTestServiceClient(cc)
}

// echoUnary answers with the request's payload.
func echoUnary(_ context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Payload: in.Payload}, nil
}

func payload(n int) *testpb.Payload {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return &testpb.Payload{Body: b}
}

// soon is longer than what a test waits for may take, however busy the machine.
const soon = 20 * time.Second

// wait waits for an event.
func wait[T any](p *pair, what string, c <-chan T) (v T) {
	p.Helper()
	select {
	case v = <-c:
	case <-time.After(soon):
		p.Fatalf("no %s within %v", what, soon)
	}
	return v
}
