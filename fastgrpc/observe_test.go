package fastgrpc_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/gzip"
	grpcproto "google.golang.org/grpc/encoding/proto"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
)

// A teller is a stats handler that writes down what it is told.
type teller struct {
	mu   sync.Mutex
	told map[string][]string // by the call's tag
	end  chan string
}

type tagKey struct{}

func newTeller() *teller { return &teller{told: map[string][]string{}, end: make(chan string, 100)} }

func (h *teller) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (h *teller) HandleConn(context.Context, stats.ConnStats)                       {}

func (h *teller) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	ctx = metadata.AppendToOutgoingContext(ctx, "tagged", "yes")
	return context.WithValue(ctx, tagKey{}, info.FullMethodName)
}

func (h *teller) HandleRPC(ctx context.Context, s stats.RPCStats) {
	tag, _ := ctx.Value(tagKey{}).(string)
	what := strings.TrimPrefix(fmt.Sprintf("%T", s), "*stats.")
	switch s := s.(type) {
	case *stats.InPayload:
		what += fmt.Sprint(" ", s.Length)
	case *stats.OutPayload:
		what += fmt.Sprint(" ", s.Length)
	case *stats.End:
		what += fmt.Sprint(" ", status.Code(s.Error), !s.BeginTime.IsZero() && !s.EndTime.Before(s.BeginTime))
	case *stats.OutHeader:
		if s.Client && (s.RemoteAddr == nil || len(s.Header["tagged"]) != 1) {
			what += " incomplete"
		}
	case *stats.InHeader:
		if !s.Client && (s.LocalAddr == nil || len(s.Header["tagged"]) != 1) {
			what += " incomplete"
		}
	case *stats.DelayedPickComplete: // says when, not what
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told[tag] = append(h.told[tag], what)
	if strings.HasPrefix(what, "End") {
		h.end <- tag
	}
}

// TestStats: a stats handler is told the same as by grpc-go, in the same order
// at the server.
func TestStats(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"fastgrpc", "grpc-go"} {
		t.Run(engine, func(t *testing.T) {
			server, client := newTeller(), newTeller()
			p := newPair(t, engine, engine)
			p.serve(fastgrpc.ServerConfig{StatsHandlers: []stats.Handler{server}})
			p.dial(fastgrpc.ClientConfig{StatsHandlers: []stats.Handler{client}})
			p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
				if in.FillUsername {
					return nil, status.Error(codes.NotFound, "")
				}
				return echoUnary(ctx, in)
			}
			p.out = func(_ *testpb.StreamingOutputCallRequest, st grpc.ServerStreamingServer[testpb.StreamingOutputCallResponse]) error {
				return st.Send(&testpb.StreamingOutputCallResponse{})
			}
			if _, err := p.calls.UnaryCall(t.Context(), &testpb.SimpleRequest{Payload: payload(100)}); err != nil {
				t.Fatal(err)
			}
			st, err := p.calls.StreamingOutputCall(t.Context(), &testpb.StreamingOutputCallRequest{})
			for err == nil {
				_, err = st.Recv()
			}
			for range 2 {
				wait(p, "end at the server", server.end)
				wait(p, "end at the client", client.end)
			}
			const unary, out = "/grpc.testing.TestService/UnaryCall", "/grpc.testing.TestService/StreamingOutputCall"
			for _, tt := range []struct {
				who  *teller
				call string
				want []string
			}{
				{server, unary, []string{"InHeader", "Begin", "InPayload 104", "OutHeader", "OutPayload 104", "OutTrailer", "End OK true"}},
				{client, unary, []string{"Begin", "End OK true", "InHeader", "InPayload 104", "InTrailer", "OutHeader", "OutPayload 104"}},
				{server, out, []string{"InHeader", "Begin", "InPayload 0", "OutHeader", "OutPayload 0", "OutTrailer", "End OK true"}},
				{client, out, []string{"Begin", "End OK true", "InHeader", "InPayload 0", "InTrailer", "OutHeader", "OutPayload 0"}},
			} {
				got := slices.Clone(tt.who.told[tt.call])
				if tt.who == client { // its order is not promised but for the ends
					if got[0] != "Begin" || got[len(got)-1] != "End OK true" {
						t.Errorf("the client's ends: %q", got)
					}
					slices.Sort(got)
				}
				if !slices.Equal(got, tt.want) {
					t.Errorf("%s:\n got %q\nwant %q", tt.call, got, tt.want)
				}
			}
		})
	}
}

// An unruly is a stats handler that ends its goroutine, or waits, where a call
// begins that the server refuses.
type unruly struct {
	*teller
	block chan struct{}
	ctx   chan context.Context
}

func (h unruly) TagRPC(ctx context.Context, info *stats.RPCTagInfo) context.Context {
	switch info.FullMethodName {
	case "/none/Goexit":
		runtime.Goexit()
	case "/none/Block":
		<-h.block
	case "/none/Tell":
		h.ctx <- ctx
	}
	return ctx
}

// TestStatsOfRefused: what a stats handler does with a call of an unknown method
// is nothing to the other calls of the connection.
func TestStatsOfRefused(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	h := unruly{newTeller(), make(chan struct{}), make(chan context.Context, 1)}
	p.serve(fastgrpc.ServerConfig{StatsHandlers: []stats.Handler{h}})
	p.dial(fastgrpc.ClientConfig{})
	p.unary = echoUnary
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	refused := func(method string) error { return p.cc.Invoke(ctx, method, &testpb.Empty{}, &testpb.Empty{}) }
	if err := refused("/none/Goexit"); status.Code(err) != codes.Internal {
		t.Errorf("ended: %v", err)
	}
	blocked := make(chan error)
	go func() { blocked <- refused("/none/Block") }()
	for range 10 {
		if _, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
			t.Fatal(err)
		}
		if err := refused("/none/None"); status.Code(err) != codes.Unimplemented {
			t.Errorf("refused: %v", err)
		}
	}
	refused("/none/Tell")
	ended := wait(p, "context", h.ctx)
	wait(p, "end of the context", ended.Done())
	if grpc.SetTrailer(ended, metadata.Pairs("k", "v")) == nil {
		t.Error("the context of a refused call still knows it")
	}
	close(h.block)
	if err := wait(p, "end of the one that waited", blocked); status.Code(err) != codes.Unimplemented {
		t.Errorf("waited: %v", err)
	}
}

// A keeper is a codec that keeps what it was given to decode, as a codec may.
type keeper struct{ encoding.CodecV2 }

var kept struct {
	sync.Mutex
	buffers []mem.Buffer
	copies  []string
}

func (keeper) Name() string { return "keeper" }

func (k keeper) Unmarshal(data mem.BufferSlice, v any) error {
	kept.Lock()
	for _, b := range data {
		b.Ref()
		kept.buffers = append(kept.buffers, b)
		kept.copies = append(kept.copies, string(b.ReadOnlyData()))
	}
	kept.Unlock()
	return k.CodecV2.Unmarshal(data, v)
}

func init() { encoding.RegisterCodecV2(keeper{encoding.GetCodecV2(grpcproto.Name)}) }

// TestCodec: a registered codec is used at both ends, and what it keeps stays
// as it was while other calls use the buffers.
func TestCodec(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	p.serve(fastgrpc.ServerConfig{})
	p.dial(fastgrpc.ClientConfig{})
	p.unary = echoUnary
	for i := range 200 {
		in := &testpb.SimpleRequest{Payload: payload(i * 700)}
		out, err := p.calls.UnaryCall(t.Context(), in, grpc.CallContentSubtype("keeper"))
		if err != nil || len(out.Payload.GetBody()) != i*700 {
			t.Fatal(err)
		}
	}
	kept.Lock()
	defer kept.Unlock()
	if len(kept.buffers) != 400 {
		t.Errorf("%d messages went through the codec, want 400", len(kept.buffers))
	}
	for i, b := range kept.buffers {
		if string(b.ReadOnlyData()) != kept.copies[i] {
			t.Fatalf("buffer %d of %d bytes was changed while it was kept", i, b.Len())
		}
		b.Free()
	}
}

// A token is per-call credentials.
type token struct {
	secure bool
	err    error
}

func (c token) GetRequestMetadata(_ context.Context, uri ...string) (map[string]string, error) {
	return map[string]string{"Authorization": uri[0]}, c.err
}
func (c token) RequireTransportSecurity() bool { return c.secure }

// oddToken are credentials whose name no header can have.
type oddToken struct{ token }

func (oddToken) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"bad key": "x"}, nil
}

// TestPerRPCCredentials: they go with the calls, if the connection is as safe as
// they ask for, as between processes of one user it is.
func TestPerRPCCredentials(t *testing.T) {
	inPairs(t, setup{}, func(p *pair) {
		p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
			md, _ := metadata.FromIncomingContext(ctx)
			return &testpb.SimpleResponse{Username: strings.Join(md["authorization"], " ")}, nil
		}
		for _, tt := range []struct {
			cred token
			want codes.Code
		}{
			{token{}, codes.OK}, {token{secure: true}, codes.OK},
			{token{err: status.Error(codes.NotFound, "")}, codes.Internal},
			{token{err: status.Error(codes.PermissionDenied, "")}, codes.PermissionDenied},
		} {
			out, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, grpc.PerRPCCredentials(tt.cred))
			if status.Code(err) != tt.want {
				p.Errorf("%+v: %v", tt.cred, err)
			} else if err == nil && out.Username != "https://localhost/grpc.testing.TestService" {
				p.Errorf("%+v: %q", tt.cred, out.Username)
			}
		}
		if _, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, grpc.PerRPCCredentials(token{err: errors.New("none")})); err == nil {
			p.Error("credentials that fail: no error")
		}
		if p.client == "fastgrpc" { // grpc-go sends it
			_, err := p.calls.UnaryCall(p.Context(), &testpb.SimpleRequest{}, grpc.PerRPCCredentials(oddToken{}))
			wantText(p, err, "header key")
		}
	})
}

// An ownCompressor is one that a client does not say it takes.
type ownCompressor struct{ encoding.Compressor }

func (ownCompressor) Name() string { return "own" }

func init() { encoding.RegisterCompressor(ownCompressor{encoding.GetCompressor("gzip")}) }

// TestCompressor: both directions, and a handler that chooses.
func TestCompressor(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	server := newTeller()
	p.serve(fastgrpc.ServerConfig{StatsHandlers: []stats.Handler{server}})
	p.dial(fastgrpc.ClientConfig{})
	p.unary = func(ctx context.Context, in *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		names, err := fastgrpc.ClientSupportedCompressors(ctx)
		if err != nil || !slices.Contains(names, "gzip") {
			return nil, fmt.Errorf("the client takes %q, %v", names, err)
		}
		for _, name := range []string{"nosuch", "own"} {
			if err := fastgrpc.SetSendCompressor(ctx, name); err == nil {
				return nil, fmt.Errorf("the compressor %q was set", name)
			}
		}
		if in.FillUsername {
			if err := fastgrpc.SetSendCompressor(ctx, "gzip"); err != nil {
				return nil, err
			}
			if err := grpc.SendHeader(ctx, nil); err != nil {
				return nil, err
			}
			if err := fastgrpc.SetSendCompressor(ctx, "identity"); err == nil {
				return nil, errors.New("a compressor was set behind the head")
			}
		}
		return echoUnary(ctx, in)
	}
	for _, tt := range []struct {
		opts []grpc.CallOption
		set  bool
	}{{nil, false}, {nil, true}, {[]grpc.CallOption{grpc.UseCompressor("gzip")}, false}} {
		in := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 100000)}, FillUsername: tt.set}
		out, err := p.calls.UnaryCall(t.Context(), in, tt.opts...)
		if err != nil || len(out.Payload.GetBody()) != 100000 {
			t.Errorf("%+v: %v", tt, err)
		}
	}
	// 5 MB of zeros are 5 KB compressed, and too large all the same.
	p.unary = func(context.Context, *testpb.SimpleRequest) (*testpb.SimpleResponse, error) {
		return &testpb.SimpleResponse{}, nil
	}
	in := &testpb.SimpleRequest{Payload: &testpb.Payload{Body: make([]byte, 5<<20)}}
	if _, err := p.calls.UnaryCall(t.Context(), in, grpc.UseCompressor("gzip")); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a message that is large when decompressed: %v", err)
	}
}
