package fastgrpc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// serveLimits serves the interop service on a pipe of its own until the test
// ends.
func serveLimits(t *testing.T, cfg fastgrpc.ServerConfig) (pipe string) {
	t.Helper()
	pipe = testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	s := fastgrpc.NewServer(cfg)
	interoptest.Register(s)
	served := make(chan struct{})
	go func() { defer close(served); s.Serve(lis) }()
	t.Cleanup(func() { s.Stop(); <-served })
	return pipe
}

// byteCredentials are a handshake that waits for a byte.
type byteCredentials struct {
	credentials.TransportCredentials
}

func (byteCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	_, err := io.ReadFull(c, make([]byte, 1))
	return c, nil, err
}

// TestSlowClients: who connects and doesn't speak, or stops within a header
// block, is cut in time.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	const limit = 300 * time.Millisecond
	cfg := fastgrpc.ServerConfig{Limits: fastgrpc.Limits{Handshake: limit, HeaderTime: limit}}
	plain := serveLimits(t, cfg)
	cfg.Credentials = byteCredentials{}
	asking := serveLimits(t, cfg)
	for _, test := range []struct {
		name string
		// send sends, and goes on until the connection ends.
		send func(c io.Writer, stop <-chan struct{})
	}{
		{"silence", func(io.Writer, <-chan struct{}) {}},
		{"silence in a handshake", func(io.Writer, <-chan struct{}) {}},
		{"half a preface", func(c io.Writer, _ <-chan struct{}) { io.WriteString(c, http2.ClientPreface[:10]) }},
		{"a preface without settings", func(c io.Writer, _ <-chan struct{}) { io.WriteString(c, http2.ClientPreface) }},
		{"a byte at a time", func(c io.Writer, stop <-chan struct{}) {
			for _, b := range []byte(http2.ClientPreface) {
				select {
				case <-stop:
					return
				case <-time.After(limit / 10):
					c.Write([]byte{b})
				}
			}
		}},
		{"half a header block", func(c io.Writer, _ <-chan struct{}) {
			io.WriteString(c, http2.ClientPreface)
			fr := http2.NewFramer(c, nil)
			fr.WriteSettings()
			fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x83}})
		}},
		{"half a header", func(c io.Writer, _ <-chan struct{}) {
			io.WriteString(c, http2.ClientPreface)
			fr := http2.NewFramer(c, nil)
			fr.WriteSettings()
			fr.WriteRawFrame(http2.FrameHeaders, 0, 1, []byte{0x83})
			c.Write([]byte{0, 0, 9, byte(http2.FrameContinuation)})
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			pipe := plain
			if test.name == "silence in a handshake" {
				pipe = asking
			}
			c, err := namedpipe.Dial(t.Context(), pipe)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			start := time.Now()
			stop := make(chan struct{})
			done := make(chan struct{})
			go func() { defer close(done); test.send(c, stop) }()
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			_, err = io.Copy(io.Discard, c)
			close(stop)
			<-done
			if took := time.Since(start); took < limit*9/10 || took > limit+5*time.Second {
				t.Errorf("cut after %v (%v), want %v", took, err, limit)
			}
		})
	}
}

// TestOddPaths: what isn't /service/method is refused before an interceptor, which
// may decide by the name, hears of it (CVE-2026-33186).
func TestOddPaths(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	pipe := serveLimits(t, fastgrpc.ServerConfig{
		UnaryInterceptors: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			asked.Add(1)
			return h(ctx, req)
		}},
		StreamInterceptors: []grpc.StreamServerInterceptor{func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, h grpc.StreamHandler) error {
			asked.Add(1)
			return h(srv, ss)
		}},
	})
	cc := newClient(t, pipe)
	for _, path := range []string{
		strings.TrimPrefix(emptyCall, "/"), "//" + emptyCall, emptyCall + "/", emptyCall + "/EmptyCall", "/grpc.testing.TestService//EmptyCall",
		"/grpc.testing.TestService/../TestService/EmptyCall", "/GRPC.TESTING.TESTSERVICE/EmptyCall", "/", "//", "*", "/EmptyCall", emptyCall + "?x=1", "\x00",
	} {
		err := cc.Invoke(t.Context(), path, &testpb.Empty{}, &testpb.Empty{})
		if status.Code(err) != codes.Unimplemented {
			t.Errorf("%q: %v", path, err)
		}
	}
	long := func(a *attacker) { a.open(a.request("/"+strings.Repeat("a", 20<<10)), true) } // the list ends before the path
	if got := outcome(t, pipe, long); got != "1: :status 200, grpc-status 8" {
		t.Errorf("a path beyond the limit of header lists: %q", got)
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("an interceptor was asked %d times", n)
	}
	if err := cc.Invoke(t.Context(), emptyCall, &testpb.Empty{}, &testpb.Empty{}); err != nil || asked.Load() != 1 {
		t.Errorf("the right path: %v, asked %d times", err, asked.Load())
	}
}

// TestOddHead: what a handler sees of a head that is right and unusual.
func TestOddHead(t *testing.T) {
	t.Parallel()
	seen := make(chan string, 1)
	pipe := serveLimits(t, fastgrpc.ServerConfig{
		UnaryInterceptors: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			names, err := fastgrpc.ClientSupportedCompressors(ctx)
			seen <- fmt.Sprint(md[":authority"], md["x"], md["x-bin"], md["grpc-status"], names, err)
			return h(ctx, req)
		}},
	})
	got := outcome(t, pipe, func(a *attacker) {
		block := bytes.Clone(head(a, ":authority", "", "host", "here", "x", "1", "x-bin", "AQ==, Ag", "grpc-status", "1", "grpc-accept-encoding", "a"))
		block = append(block, a.fields(hpack.HeaderField{Name: "x", Value: "2"}, hpack.HeaderField{Name: "grpc-accept-encoding", Value: "b, c"})...)
		a.WriteData(a.open(block, false), true, message(nil, false))
	})
	if got != "1: :status 200; 1: grpc-status 0" {
		t.Fatalf("the call ended by %q", got)
	}
	if got, want := <-seen, "[here] [1 2] [\x01 \x02] [] [a b c] <nil>"; got != want {
		t.Errorf("the handler sees %q, want %q", got, want)
	}
}

// TestOwnDeadline: a context that nobody waits for has ended at its deadline, also
// if the client says nothing.
func TestOwnDeadline(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	pipe := serveLimits(t, fastgrpc.ServerConfig{
		UnaryInterceptors: []grpc.UnaryServerInterceptor{func(ctx context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
			for start := time.Now(); ctx.Err() == nil && time.Since(start) < 5*time.Second; {
				runtime.Gosched()
			}
			ended <- ctx.Err()
			return h(ctx, req)
		}},
	})
	a, err := newAttacker(t.Context(), pipe, true)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	call("grpc-timeout", "50m")(a)
	a.w.Flush()
	if err := <-ended; err != context.DeadlineExceeded {
		t.Errorf("the context ended by %v", err)
	}
}
