package grpcpipe_test

import (
	"context"
	"net"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMain(m *testing.M) { testproc.Main(m, programs) }

// programs are what this test binary can be in other processes.
var programs = map[string]func(){"server": serverMain}

// pipeName returns a name that no other test has.
func pipeName(testing.TB) string { return testproc.PipeName() }

// testContext ends with the test or after 30 s.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// service answers with the server's name, the authority that it saw and
// whatever a test gives it to do.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
	name  string
	unary func(context.Context, *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error)
}

func (s *service) EmptyCall(context.Context, *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	return &grpc_testing.Empty{}, nil
}

func (s *service) UnaryCall(ctx context.Context, req *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	if s.unary != nil {
		return s.unary(ctx, req)
	}
	md, _ := metadata.FromIncomingContext(ctx)
	return &grpc_testing.SimpleResponse{
		ServerId: s.name,
		Username: strings.Join(md.Get(":authority"), ","),
		Payload:  req.GetPayload(),
	}, nil
}

func (s *service) FullDuplexCall(stream grpc_testing.TestService_FullDuplexCallServer) error {
	for {
		req, err := stream.Recv()
		if err != nil {
			return nil
		}
		if err := stream.Send(&grpc_testing.StreamingOutputCallResponse{Payload: req.GetPayload()}); err != nil {
			return err
		}
	}
}

// server is a running server of a test.
type server struct {
	engine.Server
	lis  *namedpipe.Listener
	done chan struct{}
}

func listen(t testing.TB, name string) *namedpipe.Listener {
	t.Helper()
	lis, err := namedpipe.Listen(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lis.Close() })
	return lis
}

// serve starts the test's engine on the pipe. It is stopped with the test.
func serve(t testing.TB, name string, cfg ...fastgrpc.ServerConfig) *server {
	t.Helper()
	return serveBoth(t, name, &service{name: name}, cfg...)
}

// serveBoth is serve for another service.
func serveBoth(t testing.TB, name string, svc *service, cfg ...fastgrpc.ServerConfig) *server {
	t.Helper()
	return start(t, name, svc, engineOf(t).NewServer(only(cfg)))
}

// serveWith starts a server of grpc-go with the given options only.
func serveWith(t testing.TB, name string, svc *service, opts ...grpc.ServerOption) *server {
	t.Helper()
	return start(t, name, svc, grpc.NewServer(opts...))
}

func start(t testing.TB, name string, svc *service, srv engine.Server) *server {
	t.Helper()
	s := &server{Server: srv, lis: listen(t, name), done: make(chan struct{})}
	grpc_testing.RegisterTestServiceServer(s, svc)
	go func() {
		defer close(s.done)
		s.Serve(s.lis)
	}()
	t.Cleanup(s.stop)
	return s
}

func (s *server) stop() {
	s.Stop()
	<-s.done
}

// dial returns a client of the test's engine that is closed with the test.
func dial(t testing.TB, target string, cfg ...fastgrpc.ClientConfig) engine.Conn {
	t.Helper()
	cc, err := engineOf(t).NewClient(target, only(cfg))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// only is the one configuration, or the zero one.
func only[T any](cfg []T) (one T) {
	if len(cfg) > 0 {
		one = cfg[0]
	}
	return one
}

// client returns a channel of grpc-go that is closed with the test.
func client(t testing.TB, target string, opts ...grpc.DialOption) *grpc.ClientConn {
	t.Helper()
	cc, err := grpcpipe.NewClient(target, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cc.Close() })
	return cc
}

// call makes one call and returns the reply.
func call(ctx context.Context, cc grpc.ClientConnInterface, opts ...grpc.CallOption) (*grpc_testing.SimpleResponse, error) {
	return grpc_testing.NewTestServiceClient(cc).UnaryCall(ctx, &grpc_testing.SimpleRequest{}, opts...)
}

// mustCall is call, with an error that ends the test.
func mustCall(ctx context.Context, t testing.TB, cc grpc.ClientConnInterface, opts ...grpc.CallOption) *grpc_testing.SimpleResponse {
	t.Helper()
	reply, err := call(ctx, cc, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

// waitState waits until the channel is in the state.
func waitState(ctx context.Context, t testing.TB, cc engine.Conn, want connectivity.State) {
	t.Helper()
	for {
		now := cc.GetState()
		if now == want {
			return
		}
		if !cc.WaitForStateChange(ctx, now) {
			t.Fatalf("the channel is %v, not %v", now, want)
		}
	}
}

// wantText fails unless the error has all the texts. grpc doubles the backslashes
// of what it quotes.
func wantText(t testing.TB, err error, texts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", texts)
	}
	plain := strings.ReplaceAll(err.Error(), `\\`, `\`)
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) && !strings.Contains(plain, text) {
			t.Errorf("error without %q:\n%v", text, err)
		}
	}
}

// pathOf is the full path of a name.
func pathOf(t testing.TB, name string) string {
	t.Helper()
	addr, err := namedpipe.ResolveAddr(name)
	if err != nil {
		t.Fatal(err)
	}
	return addr.String()
}

// strange serves connections on the pipe with do, which owns them. Connections
// that are open at the end of the test are closed.
func strange(t testing.TB, name string, do func(net.Conn)) {
	t.Helper()
	lis := listen(t, name)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { c.Close() })
			go do(c)
		}
	}()
	t.Cleanup(func() { lis.Close(); <-done })
}

// dialRaw connects without gRPC. The connection is closed with the test.
func dialRaw(t testing.TB, name string) *namedpipe.Conn {
	t.Helper()
	c, err := namedpipe.Dial(testContext(t), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
