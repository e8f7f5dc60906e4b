package main

import (
	"context"
	"net"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

// mixedLines are those of the contenders with one end in .NET.
var mixedLines = []string{"unary-64/1", "unary-64/64"}

// A mix is two contenders with the same .NET program at one end.
type mix struct{ name, base, about string }

var mixes = []mix{
	{"fastgrpc to .NET", "grpcpipe to .NET", "client, Kestrel"},
	{".NET to fastgrpc", ".NET to grpcpipe", "server, grpc-dotnet's client"},
}

func isMixed(name string) bool {
	return slices.ContainsFunc(mixes, func(m mix) bool { return m.name == name || m.base == name })
}

func init() {
	program := dotnetProgram()
	if program == "" {
		return
	}
	for name, dial := range map[string]func(string) (grpc.ClientConnInterface, error){
		"grpcpipe to .NET": func(addr string) (grpc.ClientConnInterface, error) { return grpcpipe.NewClient(pipeTarget(addr)) },
		"fastgrpc to .NET": func(addr string) (grpc.ClientConnInterface, error) {
			return fastgrpc.NewClient(pipeTarget(addr), fastgrpc.ClientConfig{})
		},
	} {
		register(&contender{
			name: name, about: name + ": Kestrel's server", network: "pipe",
			listen: func(addr string) (net.Listener, error) { return startDotnet(program, addr) },
			serve:  func(lis net.Listener) error { return lis.(*dotnetServer).cmd.Wait() },
			dial: func(addr string) (session, error) {
				cc, err := dial(addr)
				return testSession{cc}, err
			},
		})
	}
	for name, make := range map[string]func() testServer{
		".NET to grpcpipe": func() testServer { return grpc.NewServer(grpcpipe.ServerOptions()...) },
		".NET to fastgrpc": func() testServer { return fastgrpc.NewServer(fastgrpc.ServerConfig{}) },
	} {
		register(&contender{
			name: name, about: name + ": grpc-dotnet's client", network: "pipe",
			serve: func(lis net.Listener) error {
				srv := make()
				testpb.RegisterTestServiceServer(srv, testService{})
				return srv.Serve(lis)
			},
			run: func(addr string, l line, d time.Duration) (*outcome, error) {
				return dotnetLoad(program, strings.TrimPrefix(addr, `\\.\pipe\`), l, d)
			},
		})
	}
}

type testServer interface {
	grpc.ServiceRegistrar
	Serve(net.Listener) error
}

// testService is what .NET's program calls: gRPC's own test service.
type testService struct {
	testpb.UnimplementedTestServiceServer
}

func (testService) UnaryCall(_ context.Context, r *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
	return &testpb.SimpleResponse{Payload: &testpb.Payload{Body: make([]byte, r.ResponseSize)}}, nil
}

type testSession struct{ grpc.ClientConnInterface }

func (s testSession) echo(ctx context.Context, p []byte) error {
	r, err := testpb.NewTestServiceClient(s).UnaryCall(ctx, &testpb.SimpleRequest{ResponseSize: int32(len(p)), Payload: &testpb.Payload{Body: p}})
	if err != nil {
		return err
	}
	return sameSize(p, r.GetPayload().GetBody())
}

func (s testSession) Close() error { return s.ClientConnInterface.(interface{ Close() error }).Close() }
