package fastgrpc_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/creds"
)

func TestEchoRandom(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		p.unary = echoUnary
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(i), 3))
				for range 60 {
					n := r.IntN(1 << (1 + r.IntN(19)))
					in := payload(n)
					out, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{Payload: in})
					if err != nil || !bytes.Equal(out.GetPayload().GetBody(), in.Body) {
						p.Errorf("%d bytes: %v", n, err)
						return
					}
				}
			})
		}
		wg.Wait()
	})
}

func TestMetadata(t *testing.T) {
	inPairs(t, setup{client: fastgrpc.ClientConfig{UserAgent: "tester/1"}}, func(p *pair) {
		answer := func(ctx context.Context) error {
			md, _ := metadata.FromIncomingContext(ctx)
			if got := md.Get("key"); !slices.Equal(got, []string{"one", "two"}) {
				return fmt.Errorf("key: %q", got)
			}
			if got := md.Get("raw-bin"); !slices.Equal(got, []string{"\x00\xff,", "x"}) {
				return fmt.Errorf("raw-bin: %q", got)
			}
			if got := md.Get(":authority"); !slices.Equal(got, []string{"localhost"}) {
				return fmt.Errorf(":authority: %q", got)
			}
			if got := md.Get("user-agent"); len(got) != 1 || !strings.HasPrefix(got[0], "tester/1 grpc-go") {
				return fmt.Errorf("user-agent: %q", got)
			}
			if got := md.Get("content-type"); !slices.Equal(got, []string{"application/grpc"}) {
				return fmt.Errorf("content-type: %q", got)
			}
			if m, ok := grpc.Method(ctx); !ok || !strings.HasPrefix(m, "/grpc.testing.TestService/") {
				return fmt.Errorf("method: %q", m)
			}
			return errors.Join(grpc.SetHeader(ctx, metadata.Pairs("h", "1")), grpc.SendHeader(ctx, metadata.Pairs("h", "2", "h-bin", "\x01")),
				grpc.SetTrailer(ctx, metadata.Pairs("t", "3", "t-bin", "\x02")))
		}
		p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			if err := answer(ctx); err != nil {
				return nil, err
			}
			if err := grpc.SendHeader(ctx, nil); err == nil {
				return nil, errors.New("the header could be sent twice")
			}
			return echoUnary(ctx, in)
		}
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			return answer(st.Context())
		}
		check := func(header, trailer metadata.MD, err error) {
			p.Helper()
			if err != nil {
				p.Fatal(err)
			}
			if !slices.Equal(header.Get("h"), []string{"1", "2"}) || !slices.Equal(header.Get("h-bin"), []string{"\x01"}) {
				p.Errorf("header: %v", header)
			}
			if !slices.Equal(trailer.Get("t"), []string{"3"}) || !slices.Equal(trailer.Get("t-bin"), []string{"\x02"}) || len(trailer) != 2 {
				p.Errorf("trailer: %v", trailer)
			}
		}
		ctx := metadata.AppendToOutgoingContext(p.Context(), "key", "one", "KEY", "two", "raw-bin", "\x00\xff,", "raw-bin", "x",
			"grpc-timeout", "0n", "te", "nothing", ":path", "/x", "user-agent", "another")
		var header, trailer metadata.MD
		_, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
		check(header, trailer, err)
		st, err := p.calls.FullDuplexCall(ctx)
		if err != nil {
			p.Fatal(err)
		}
		if _, err := st.Recv(); err != io.EOF {
			p.Fatal(err)
		}
		header, err = st.Header()
		check(header, st.Trailer(), err)

		if p.server == "fastgrpc" { // which says what it takes: 16 KiB
			ctx := metadata.AppendToOutgoingContext(ctx, "large", strings.Repeat("x", 16<<10))
			if _, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "header list") {
				p.Errorf("large metadata: %v", err)
			}
		}
		for _, bad := range [][2]string{{"bad key", "v"}, {"key", "bad\x01value"}} {
			ctx := metadata.AppendToOutgoingContext(p.Context(), bad[0], bad[1])
			if _, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}); status.Code(err) != codes.Internal || !strings.Contains(err.Error(), "header key") {
				p.Errorf("%q: %v", bad, err)
			}
		}
	})
}

// noError is an error that says it is OK.
type noError struct{}

func (noError) Error() string              { return "no error" }
func (noError) GRPCStatus() *status.Status { return status.New(codes.OK, "") }

func TestStatus(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		rich, err := status.New(codes.NotFound, "no ü %41 \t such\n").WithDetails(&errdetails.ErrorInfo{Reason: "gone"})
		if err != nil {
			p.Fatal(err)
		}
		const details = "grpc-status-details-bin"
		type test struct {
			err  error
			want *status.Status
		}
		tests := []test{
			{rich.Err(), rich},
			{errors.New("plain"), status.New(codes.Unknown, "plain")},
			{context.DeadlineExceeded, status.New(codes.DeadlineExceeded, "context deadline exceeded")},
			{fmt.Errorf("around: %w", status.Error(codes.DataLoss, "in")), status.New(codes.DataLoss, "around: rpc error: code = DataLoss desc = in")},
			{status.Error(codes.Code(77), "odd"), status.New(codes.Code(77), "odd")},
			{status.Error(codes.Aborted, "bad \xff utf8"), status.New(codes.Aborted, "bad \uFFFD utf8")},
		}
		if p.server == "fastgrpc" { // grpc-go takes its word for it, and sends no response
			tests = append(tests, test{noError{}, status.New(codes.Unknown, "no error")})
		}
		for _, tt := range tests {
			p.unary = func(ctx context.Context, _ *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				grpc.SetHeader(ctx, metadata.Pairs("h", "1"))
				grpc.SetTrailer(ctx, metadata.Pairs(details, "the handler's"))
				return nil, tt.err
			}
			p.in = func(st grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
				return tt.err
			}
			var header, trailer metadata.MD
			_, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, grpc.Header(&header), grpc.Trailer(&trailer))
			if got := status.Convert(err); got.Code() != tt.want.Code() || got.Message() != tt.want.Message() || len(got.Details()) != len(tt.want.Details()) {
				p.Errorf("unary: got %v, want %v", got, tt.want)
			}
			if !slices.Equal(header["h"], []string{"1"}) {
				p.Errorf("%v: the header is %v", tt.err, header)
			}
			// The status's own take the place of the handler's.
			if got := trailer[details]; len(got) != 1 || (got[0] == "the handler's") != (len(tt.want.Details()) == 0) {
				p.Errorf("%v: the details are %q", tt.err, got)
			}
			st, err := p.calls.StreamingInputCall(p.Context())
			if err != nil {
				p.Fatal(err)
			}
			_, err = st.CloseAndRecv()
			if got := status.Convert(err); got.Code() != tt.want.Code() || got.Message() != tt.want.Message() {
				p.Errorf("stream: got %v, want %v", got, tt.want)
			}
		}
	})
}

// TestSizes: both limits at both ends.
func TestSizes(t *testing.T) {
	s := setup{server: fastgrpc.ServerConfig{MaxRecvMessage: 50000, MaxSendMessage: 60000}}
	inPairs(t, s, func(p *pair) {
		p.unary = func(_ context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			return &testpb.SimpleResponse{Payload: payload(int(in.ResponseSize))}, nil
		}
		for _, tt := range []struct {
			ask, answer int
			opts        []grpc.CallOption
			want        codes.Code
		}{
			{40000, 50000, nil, codes.OK},
			{60000, 1, nil, codes.ResourceExhausted},
			{1, 70000, nil, codes.ResourceExhausted},
			{1, 30000, []grpc.CallOption{grpc.MaxCallRecvMsgSize(20000)}, codes.ResourceExhausted},
			{30000, 1, []grpc.CallOption{grpc.MaxCallSendMsgSize(20000)}, codes.ResourceExhausted},
			{1, 1, nil, codes.OK},
		} {
			in := &testpb.SimpleRequest{Payload: payload(tt.ask), ResponseSize: int32(tt.answer)}
			if _, err := p.calls.UnaryCall(p.Context(), in, tt.opts...); status.Code(err) != tt.want {
				p.Errorf("%d and %d bytes: %v, want %v", tt.ask, tt.answer, err, tt.want)
			}
		}
	})
}

// TestIdentity: both ends know who is there.
func TestIdentity(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			who, ok := grpcpipe.PeerFromContext(ctx)
			if !ok || !who.SameUser {
				return nil, fmt.Errorf("the client is %+v", who)
			}
			return echoUnary(ctx, in)
		}
		var server peer.Peer
		if _, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, grpc.Peer(&server)); err != nil {
			p.Fatal(err)
		}
		info, ok := server.AuthInfo.(creds.AuthInfo)
		if !ok || info.Peer == nil || !info.Peer.SameUser || !strings.Contains(server.Addr.String(), p.pipe) {
			p.Errorf("the server is %+v", server)
		}
	})
}

// TestInterceptors: in order, at both ends, around calls and streams.
func TestInterceptors(t *testing.T) {
	type key struct{}
	var s setup
	for _, name := range []string{"a", "b", "c"} {
		s.server.UnaryInterceptors = append(s.server.UnaryInterceptors, func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
			before, _ := ctx.Value(key{}).(string)
			return handler(context.WithValue(ctx, key{}, before+name), req)
		})
		s.server.StreamInterceptors = append(s.server.StreamInterceptors, func(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
			if !info.IsClientStream || !info.IsServerStream || info.FullMethod != "/grpc.testing.TestService/FullDuplexCall" {
				return fmt.Errorf("%+v", info)
			}
			ss.SetTrailer(metadata.Pairs("server", name))
			return handler(srv, ss)
		})
		s.client.UnaryInterceptors = append(s.client.UnaryInterceptors, func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if cc.Target() == "" {
				return errors.New("no target")
			}
			return invoke(metadata.AppendToOutgoingContext(ctx, "client", name), method, req, reply, cc, opts...)
		})
		s.client.StreamInterceptors = append(s.client.StreamInterceptors, func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, open grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return open(metadata.AppendToOutgoingContext(ctx, "client", name), desc, cc, method, opts...)
		})
	}
	inPairs(t, s, func(p *pair) {
		abc := []string{"a", "b", "c"}
		p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			if ctx.Value(key{}) != "abc" || !slices.Equal(md["client"], abc) {
				return nil, fmt.Errorf("server %v, client %v", ctx.Value(key{}), md["client"])
			}
			return echoUnary(ctx, in)
		}
		p.full = func(st grpc.BidiStreamingServer[testpb.StreamingOutputCallRequest, testpb.StreamingOutputCallResponse]) error {
			md, _ := metadata.FromIncomingContext(st.Context())
			if !slices.Equal(md["client"], abc) {
				return fmt.Errorf("client %v", md["client"])
			}
			return nil
		}
		if _, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}); err != nil {
			p.Error(err)
		}
		st, err := p.calls.FullDuplexCall(p.Context())
		if err != nil {
			p.Fatal(err)
		}
		if _, err := st.Recv(); err != io.EOF || !slices.Equal(st.Trailer()["server"], abc) {
			p.Errorf("%v, %v", err, st.Trailer())
		}
	})
}

// TestLeakedContext: a handler's context outlives its call without harm.
func TestLeakedContext(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		leaked := make(chan context.Context, 1)
		p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			select {
			case leaked <- ctx:
			default:
			}
			return echoUnary(ctx, in)
		}
		call := func() {
			if _, err := p.calls.UnaryCall(metadata.AppendToOutgoingContext(p.Context(), "k", "v"), &testpb.SimpleRequest{Payload: payload(100)}); err != nil {
				p.Error(err)
			}
		}
		call()
		ctx := <-leaked
		for range 100 {
			call()
			if err := grpc.SetHeader(ctx, metadata.Pairs("x", "y")); err == nil && p.server == "fastgrpc" {
				p.Fatal("SetHeader works after the call")
			}
			grpc.SetTrailer(ctx, metadata.Pairs("x", "y"))
		}
		select {
		case <-ctx.Done():
		case <-time.After(soon):
			p.Error("the context is not done")
		}
		if md, _ := metadata.FromIncomingContext(ctx); ctx.Err() != context.Canceled || !slices.Equal(md["k"], []string{"v"}) {
			p.Errorf("%v, %v", ctx.Err(), md)
		}
		ran := make(chan struct{})
		context.AfterFunc(ctx, func() { close(ran) })
		wait(p, "AfterFunc", ran)
	})
}
