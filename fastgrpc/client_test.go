package fastgrpc_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"runtime"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestTargets: what is not a pipe works too, with credentials; what needs name
// resolution is refused.
func TestTargets(t *testing.T) {
	t.Parallel()
	plain := fastgrpc.ClientConfig{Credentials: insecure.NewCredentials()}
	s := newServer(t)
	t.Cleanup(s.Stop)
	tcp, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(tcp)
	targets := []string{tcp.Addr().String()}
	if runtime.GOOS != "windows" {
		path := t.TempDir() + "/x"
		unix, err := net.Listen("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		go s.Serve(unix)
		targets = append(targets, "unix:"+path, "unix://"+path)
	}
	for _, target := range targets {
		cc, err := fastgrpc.NewClient(target, plain)
		if err != nil {
			t.Fatal(err)
		}
		mustCall(testContext(t), t, cc)
		_, err = grpc_testing.NewTestServiceClient(cc).EmptyCall(testContext(t), &grpc_testing.Empty{}, grpc.PerRPCCredentials(token{secure: true}))
		if status.Code(err) != codes.Unauthenticated {
			t.Errorf("%s: credentials that need a safe connection: %v", target, err)
		}
		cc.Close()
		_, err = fastgrpc.NewClient(target, fastgrpc.ClientConfig{})
		wantText(t, err, target, "only pipes need no credentials")
	}
	for target, want := range map[string]string{
		"":                     "empty",
		"dns:///x:1":           "needs name resolution",
		"xds:///x":             "grpc.NewClient",
		"passthrough:///x:1":   "grpc.NewClient",
		"https://pipe:/MyPipe": "TLS",
	} {
		_, err := fastgrpc.NewClient(target, plain)
		if !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", target, err)
		}
		wantText(t, err, target, want)
	}
}

// TestConnections: a number of connections that can't be meant is refused.
func TestConnections(t *testing.T) {
	t.Parallel()
	for _, n := range []int{-1, 101} {
		_, err := fastgrpc.NewClient("x", fastgrpc.ClientConfig{Connections: n})
		if !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%d: %v", n, err)
		}
	}
}

// judgingCredentials shake no hands, and know of their connection what info says.
type judgingCredentials struct {
	credentials.TransportCredentials
	info credentials.AuthInfo
}

func (c judgingCredentials) ClientHandshake(_ context.Context, _ string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return conn, c.info, nil
}

type bareInfo struct{}

func (bareInfo) AuthType() string { return "bare" }

type strictInfo struct{ bareInfo }

func (strictInfo) ValidateAuthority(string) error { return errors.New("no") }

// TestAuthority: a call may only choose an authority that the server can have.
func TestAuthority(t *testing.T) {
	t.Parallel()
	pipe := testproc.PipeName()
	serve(t, pipe, newServer(t))
	for _, info := range []credentials.AuthInfo{bareInfo{}, strictInfo{}} {
		cc := newClientWith(t, pipe, fastgrpc.ClientConfig{Credentials: judgingCredentials{insecure.NewCredentials(), info}})
		mustCall(testContext(t), t, cc)
		_, err := grpc_testing.NewTestServiceClient(cc).EmptyCall(testContext(t), &grpc_testing.Empty{}, grpc.CallAuthority("other"))
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%T: %v", info, err)
		}
	}
}

// TestIdle: a client without calls gives up its connections, and comes back.
func TestIdle(t *testing.T) {
	t.Parallel()
	ctx, pipe := testContext(t), testproc.PipeName()
	serve(t, pipe, newServer(t))
	for _, cfg := range []fastgrpc.ClientConfig{{}, {Connections: 3}} {
		cfg.IdleTimeout = 50 * time.Millisecond
		cc := newClientWith(t, pipe, cfg)
		for range 3 {
			mustCall(ctx, t, cc)
			waitState(ctx, t, cc, connectivity.Idle)
		}
		// A call under way keeps it awake.
		stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(ctx)
		if err != nil {
			t.Fatal(err)
		}
		waitState(ctx, t, cc, connectivity.Ready)
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if cc.WaitForStateChange(short, connectivity.Ready) {
			t.Errorf("with a call under way the client became %v", cc.GetState())
		}
		stream.CloseSend()
		if _, err := stream.Recv(); err == nil {
			t.Error("a message of nothing")
		}
		waitState(ctx, t, cc, connectivity.Idle)
	}
}

// wantClosed accepts a connection, which the client must close.
func wantClosed(t *testing.T, lis net.Listener) {
	t.Helper()
	c, err := lis.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Error(err)
	}
}

// TestSilentServer: a client closes the connection to a server that says nothing.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	pipe := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	cc := newClientWith(t, pipe, fastgrpc.ClientConfig{ConnectTimeout: 50 * time.Millisecond})
	cc.Connect()
	wantClosed(t, lis)
}

// TestSilentServerPassed: nor does a client keep it that found another meanwhile.
func TestSilentServerPassed(t *testing.T) {
	t.Parallel()
	silent, pipe := testproc.PipeName(), testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), silent)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	serve(t, pipe, newServer(t))
	cc := newClientWith(t, "npipe:"+silent+","+pipe, fastgrpc.ClientConfig{ConnectTimeout: time.Minute})
	mustCall(testContext(t), t, cc)
	wantClosed(t, lis)
}
