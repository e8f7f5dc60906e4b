package grpcpipe_test

import (
	"context"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/credentials/local"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

func TestSpellingsReachTheirPipe(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serve(t, name)
	for _, target := range []string{
		name,
		"npipe:" + name, "NPIPE:" + name,
		"npipe:///" + name,
		"npipe://./pipe/" + name, "npipe://./PIPE/" + name,
		"npipe:////./pipe/" + name,
		`npipe:\\.\pipe\` + name, `npipe://\\.\pipe\` + name, `npipe:///\\.\pipe\` + name,
		`\\.\pipe\` + name, `\\.\Pipe\` + name, "//./pipe/" + name,
		"http://pipe:/" + name, "HTTP://Pipe:/" + name,
	} {
		t.Run(target, func(t *testing.T) {
			reply := mustCall(testContext(t), t, dial(t, target))
			if reply.ServerId != name || reply.Username != "localhost" {
				t.Errorf("reached %q with the authority %q", reply.ServerId, reply.Username)
			}
		})
	}
}

func TestNamesAreNeverDecoded(t *testing.T) {
	t.Parallel()
	base := pipeName(t)
	for _, end := range []string{"a#b", "a?b=c", "%20", "a%zzb", "a b", "é", "100%", "a+b=c", "[x]", "a@b", "a;b&c"} {
		name := base + end
		serve(t, name)
		// What a decoder would make of it must not be reached.
		for _, target := range []string{name, "npipe:" + name, "npipe:///" + name, "npipe://./pipe/" + name, `npipe:\\.\pipe\` + name, "http://pipe:/" + name} {
			t.Run(target, func(t *testing.T) {
				reply := mustCall(testContext(t), t, dial(t, target))
				if reply.ServerId != name || reply.Username != "localhost" {
					t.Errorf("reached %q with the authority %q", reply.ServerId, reply.Username)
				}
			})
		}
	}
	for _, end := range []string{"x,y", "x*"} {
		name := base + end
		if runtime.GOOS == "windows" && strings.Contains(end, "*") {
			continue // no name on Windows
		}
		serve(t, name)
		if reply := mustCall(testContext(t), t, dial(t, "npipe:///"+name)); reply.ServerId != name {
			t.Errorf("reached %q, want %q", reply.ServerId, name)
		}
	}
}

func TestUnixPath(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		for _, target := range []string{"/run/me/x.sock", "npipe:/run/me/x.sock"} {
			_, err := grpcpipe.NewClient(target)
			wantText(t, err, "Unix socket", "bare name")
		}
		return
	}
	path := t.TempDir() + "/x.sock"
	serve(t, path)
	for _, target := range []string{path, "npipe:" + path, "npipe:///" + path} {
		if reply := mustCall(testContext(t), t, dial(t, target)); reply.ServerId != path {
			t.Errorf("%s reached %q", target, reply.ServerId)
		}
	}
}

func TestAuthorityOfTheCallerWins(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serve(t, name)
	cc := dial(t, name, fastgrpc.ClientConfig{Authority: "me.example"})
	if reply := mustCall(testContext(t), t, cc); reply.Username != "me.example" {
		t.Errorf("the authority is %q", reply.Username)
	}
	reply := mustCall(testContext(t), t, dial(t, name), grpc.CallAuthority("call.example"))
	if reply.Username != "call.example" {
		t.Errorf("the authority of the call is %q", reply.Username)
	}
}

func TestTargetStaysReadable(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"MyPipe":                  "npipe:MyPipe",
		"npipe:///MyPipe":         "npipe:///MyPipe",
		"npipe:a,b":               "npipe:a,b",
		"http://pipe:/My Pipe":    "npipe:My Pipe",
		`npipe://\\.\pipe\MyPipe`: `npipe:\\.\pipe\MyPipe`,
	} {
		if got := client(t, target).Target(); got != want {
			t.Errorf("%s: the channel's target is %q, want %q", target, got, want)
		}
	}
}

func TestCredentials(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	s := serve(t, name)
	for what, opt := range map[string]grpc.DialOption{
		"none":     grpc.EmptyDialOption{},
		"insecure": grpc.WithTransportCredentials(insecure.NewCredentials()),
		"local":    grpc.WithTransportCredentials(local.NewCredentials()),
		"bundle":   grpc.WithCredentialsBundle(insecure.NewBundle()),
	} {
		t.Run(what, func(t *testing.T) {
			var p peer.Peer
			mustCall(testContext(t), t, client(t, name, opt), grpc.Peer(&p))
			if p.Addr.String() != s.lis.Addr().String() {
				t.Errorf("the peer's address is %v", p.Addr)
			}
			if what == "none" && p.AuthInfo.AuthType() != "npipe" {
				t.Errorf("the peer's credentials are %q", p.AuthInfo.AuthType())
			}
		})
	}
}

func TestServerSeesOurAuthInfo(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	types := make(chan string, 1)
	serveBoth(t, name, &service{unary: func(ctx context.Context, _ *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		p, _ := peer.FromContext(ctx)
		types <- p.AuthInfo.AuthType() + " " + p.Addr.Network()
		return &grpc_testing.SimpleResponse{}, nil
	}})
	mustCall(testContext(t), t, dial(t, name))
	want := "npipe unix"
	if runtime.GOOS == "windows" {
		want = "npipe pipe"
	}
	if got := <-types; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainServer(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serveWith(t, name, &service{name: name})
	mustCall(testContext(t), t, dial(t, name))
}

func TestOtherTargetsGoToGRPC(t *testing.T) {
	t.Parallel()
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(srv, &service{})
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(lis) }()
	t.Cleanup(func() { srv.Stop(); <-done })
	addr := lis.Addr().String()
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	for _, target := range []string{addr, "passthrough:///" + addr, "dns:///" + addr} {
		cc := client(t, target, plain)
		mustCall(testContext(t), t, cc)
		if cc.Target() != target {
			t.Errorf("the target %s became %s", target, cc.Target())
		}
		// Without an option of ours there are no credentials.
		if _, err := grpcpipe.NewClient(target); err == nil || !strings.Contains(err.Error(), "no transport security set") {
			t.Errorf("%s without credentials: %v", target, err)
		}
	}
}

func TestMissingPipe(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	cc := dial(t, name)
	_, err := call(testContext(t), cc)
	if status.Code(err) != codes.Unavailable {
		t.Errorf("code %v", status.Code(err))
	}
	wantText(t, err, pathOf(t, name), "no such pipe", "start the server")

	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err = call(ctx, cc, grpc.WaitForReady(true))
	if status.Code(err) != codes.DeadlineExceeded {
		t.Errorf("code %v", status.Code(err))
	}
	wantText(t, err, pathOf(t, name), "no such pipe")
}

func TestGzip(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serve(t, name)
	req := &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: make([]byte, 100_000)}}
	reply, err := grpc_testing.NewTestServiceClient(dial(t, name)).UnaryCall(testContext(t), req, grpc.UseCompressor(gzip.Name))
	if err != nil || len(reply.Payload.Body) != 100_000 {
		t.Error(len(reply.GetPayload().GetBody()), err)
	}
}

func TestPingsAreNotPunished(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serve(t, name)
	// grpc's client refuses to ping more often than every 10 s, so the pings
	// here are raw HTTP/2: see pinger.
	n, err := pinger(testContext(t), name, 500*time.Millisecond, 8)
	if err != nil {
		t.Errorf("after %d pings: %v", n, err)
	}
	cc := dial(t, name, fastgrpc.ClientConfig{KeepAlive: keepalive.ClientParameters{Time: time.Second, PermitWithoutStream: true}})
	mustCall(testContext(t), t, cc)
	if got := cc.GetState(); got != connectivity.Ready {
		t.Errorf("the channel is %v", got)
	}
}
