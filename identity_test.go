package grpcpipe_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// whoami answers with what the server knows of the caller.
func whoami(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	p, ok := grpcpipe.PeerFromContext(ctx)
	if !ok {
		return nil, status.Error(codes.Internal, "the peer is unknown")
	}
	return &grpc_testing.SimpleResponse{Username: p.User.ID, ServerId: p.String()}, nil
}

// TestPeerInHandler: every handler, with and without streams, and every stats
// handler knows the caller.
func TestPeerInHandler(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	seen := &statsHandler{}
	serveBoth(t, name, &service{unary: whoami}, fastgrpc.ServerConfig{StatsHandlers: []stats.Handler{seen}})
	reply := mustCall(testContext(t), t, dial(t, name))
	if runtime.GOOS != "windows" && reply.Username != fmt.Sprint(os.Geteuid()) || reply.Username == "" {
		t.Errorf("the caller is %q", reply.Username)
	}
	if !strings.Contains(reply.ServerId, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("the caller is %q", reply.ServerId)
	}
	if got := seen.calls(); len(got) != 1 || got[0] != reply.ServerId {
		t.Errorf("the stats handler saw %q", got)
	}
}

type statsHandler struct {
	mu  sync.Mutex
	who []string
}

func (*statsHandler) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

func (h *statsHandler) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.Begin); !ok {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := grpcpipe.PeerFromContext(ctx); ok {
		h.who = append(h.who, p.String())
	}
}

func (*statsHandler) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (*statsHandler) HandleConn(context.Context, stats.ConnStats)                       {}

func (h *statsHandler) calls() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.who
}

// TestServerInClient: the client knows its server.
func TestServerInClient(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	child := startChild(t, name)
	var p peer.Peer
	mustCall(testContext(t), t, dial(t, name), grpc.Peer(&p))
	info, ok := p.AuthInfo.(grpcpipe.AuthInfo)
	if !ok {
		t.Fatalf("the AuthInfo is a %T", p.AuthInfo)
	}
	if info.Peer.PID != child.Pid() || !info.Peer.SameUser || info.SecurityLevel != credentials.PrivacyAndIntegrity || info.AuthType() != "npipe" {
		t.Errorf("%+v, %v", info, info.Peer)
	}
}

// TestTLSOnTop: the peer and the TLS state are both known at both ends, and a
// client certificate comes through.
func TestTLSOnTop(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serverTLS, clientTLS := tlsPair(t, "localhost")
	infos := make(chan credentials.AuthInfo, 1)
	serveBoth(t, name, &service{unary: func(ctx context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		p, _ := peer.FromContext(ctx)
		infos <- p.AuthInfo
		md, _ := metadata.FromIncomingContext(ctx)
		return &grpc_testing.SimpleResponse{Username: strings.Join(md.Get(":authority"), ",")}, nil
	}}, fastgrpc.ServerConfig{Credentials: grpcpipe.NewCredentials(serverTLS)})
	var p peer.Peer
	cc := dial(t, "https://pipe:/"+name, fastgrpc.ClientConfig{Credentials: grpcpipe.NewCredentials(clientTLS)})
	if reply := mustCall(testContext(t), t, cc, grpc.Peer(&p)); reply.Username != "localhost" {
		t.Errorf("the authority is %q", reply.Username)
	}
	for end, info := range map[string]credentials.AuthInfo{"client": p.AuthInfo, "server": <-infos} {
		ours, ok := info.(grpcpipe.AuthInfo)
		if !ok {
			t.Fatalf("%s: the AuthInfo is a %T", end, info)
		}
		tls, ok := ours.Over.(credentials.TLSInfo)
		if !ok || tls.State.NegotiatedProtocol != "h2" || ours.Peer == nil || ours.Peer.PID != os.Getpid() || ours.SecurityLevel != credentials.PrivacyAndIntegrity {
			t.Errorf("%s: %+v, %v", end, ours.Over, ours.Peer)
		}
	}
}

// token is a per-call credential that asks for a safe transport.
type token struct{}

func (token) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer secret"}, nil
}
func (token) RequireTransportSecurity() bool { return true }

var tokens = []credentials.PerRPCCredentials{token{}}

// TestPerCallCredentials: what demands a safe transport is sent over a pipe
// whose server was checked, and not over one that anybody may serve.
func TestPerCallCredentials(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serveBoth(t, name, &service{unary: func(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		return &grpc_testing.SimpleResponse{Username: strings.Join(md.Get("authorization"), ",")}, nil
	}})
	if reply := mustCall(testContext(t), t, dial(t, name, fastgrpc.ClientConfig{PerRPCCredentials: tokens})); reply.Username != "Bearer secret" {
		t.Errorf("the server got %q", reply.Username)
	}
	cc := dial(t, name, fastgrpc.ClientConfig{PerRPCCredentials: tokens, Dialer: &namedpipe.Dialer{Server: namedpipe.Trust{Anyone: true}}})
	_, err := call(testContext(t), cc)
	wantText(t, err, "secure credentials on an insecure connection")
}

// TestServerNotTrusted: the refusal reaches who made the call.
func TestServerNotTrusted(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serve(t, name)
	d := &namedpipe.Dialer{Server: namedpipe.Trust{PID: 1}}
	_, err := call(testContext(t), dial(t, name, fastgrpc.ClientConfig{Dialer: d}))
	if status.Code(err) != codes.Unavailable {
		t.Errorf("the code is %v", status.Code(err))
	}
	wantText(t, err, "not trusted", "its process is not 1", pathOf(t, name), fmt.Sprintf("process %d", os.Getpid()))
}

// TestWithDialerElsewhere: the option is for pipes, and says so.
func TestWithDialerElsewhere(t *testing.T) {
	t.Parallel()
	_, err := call(testContext(t), client(t, "passthrough:///x", grpcpipe.WithDialer(&namedpipe.Dialer{}), grpc.WithTransportCredentials(local.NewCredentials())))
	wantText(t, err, "WithDialer is for pipes", "npipe:MyPipe")
}

// TestUnknownPeer: without our credentials nobody is known, and nobody is
// impersonated.
func TestUnknownPeer(t *testing.T) {
	t.Parallel()
	if _, ok := grpcpipe.PeerFromContext(context.Background()); ok {
		t.Error("a peer outside of any call")
	}
	name := pipeName(t)
	serveWith(t, name, &service{unary: func(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		if _, ok := grpcpipe.PeerFromContext(ctx); ok {
			return nil, status.Error(codes.Internal, "a peer without credentials")
		}
		err := grpcpipe.Impersonate(ctx, func() error { return nil })
		if !errors.Is(err, errors.ErrUnsupported) {
			return nil, status.Errorf(codes.Internal, "Impersonate: %v", err)
		}
		return &grpc_testing.SimpleResponse{}, nil
	}})
	mustCall(testContext(t), t, dial(t, name))
}

// TestImpersonate: a handler acts as the caller, where the system can.
func TestImpersonate(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serveBoth(t, name, &service{unary: func(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		ran := false
		err := grpcpipe.Impersonate(ctx, func() error { ran = true; return nil })
		return &grpc_testing.SimpleResponse{Username: fmt.Sprintf("%v, %v", ran, errors.Is(err, errors.ErrUnsupported))}, nil
	}})
	want := "false, true"
	if runtime.GOOS == "windows" {
		want = "true, false"
	}
	cc := dial(t, name, fastgrpc.ClientConfig{Dialer: &namedpipe.Dialer{ImpersonationLevel: namedpipe.Impersonation}})
	if reply := mustCall(testContext(t), t, cc); reply.Username != want {
		t.Errorf("ran, unsupported: %s; want %s", reply.Username, want)
	}
}
