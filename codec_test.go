package grpcpipe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/grpcpipe/grpcpipe"
)

// jsonCodec is a codec as programs register them; it counts its work.
type jsonCodec struct{}

var jsonUsed atomic.Int64

func (jsonCodec) Name() string { return "gptestjson" }

func (jsonCodec) Marshal(v any) ([]byte, error) {
	jsonUsed.Add(1)
	return protojson.Marshal(v.(proto.Message))
}

func (jsonCodec) Unmarshal(b []byte, v any) error {
	jsonUsed.Add(1)
	if !json.Valid(b) {
		return fmt.Errorf("not JSON: %.20q", b)
	}
	return protojson.Unmarshal(b, v.(proto.Message))
}

func init() { encoding.RegisterCodec(jsonCodec{}) }

func body(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }

// echoes makes a call and a stream of every size around the borders of grpc's
// and our buffers.
func echoes(t *testing.T, stub grpc_testing.TestServiceClient, opts ...grpc.CallOption) {
	t.Helper()
	ctx := testContext(t)
	stream, err := stub.FullDuplexCall(ctx, opts...)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 255, 256, 1000, 1024, 1025, 16 << 10, 32 << 10, 64<<10 - 1, 64 << 10, 100_000, 1 << 20, 2 << 20} {
		want := body(n)
		r, err := stub.UnaryCall(ctx, &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: want}}, opts...)
		if err != nil {
			t.Fatalf("call of %d bytes: %v", n, err)
		}
		if !bytes.Equal(r.GetPayload().GetBody(), want) {
			t.Errorf("call of %d bytes: something else came back", n)
		}
		if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: want}}); err != nil {
			t.Fatalf("stream, %d bytes: %v", n, err)
		}
		m, err := stream.Recv()
		if err != nil {
			t.Fatalf("stream, %d bytes: %v", n, err)
		}
		if !bytes.Equal(m.GetPayload().GetBody(), want) {
			t.Errorf("stream, %d bytes: something else came back", n)
		}
	}
}

func TestCodecSizes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		opts []grpc.ServerOption
	}{
		{"ProtobufOnly", append(grpcpipe.ServerOptions(), grpcpipe.ProtobufOnly())},
		{"ServerOptions", grpcpipe.ServerOptions()},
		{"stock", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := pipeName(t)
			serveWith(t, name, &service{}, tt.opts...)
			stub := grpc_testing.NewTestServiceClient(client(t, name))
			echoes(t, stub)
			echoes(t, stub, grpc.UseCompressor(gzip.Name))
		})
	}
}

// TestOtherCodecs: with our options a call that asks for another codec gets it,
// however it asks.
func TestOtherCodecs(t *testing.T) {
	name := pipeName(t)
	var types atomic.Value
	serveWith(t, name, &service{unary: func(ctx context.Context, r *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
		md, _ := metadata.FromIncomingContext(ctx)
		types.Store(strings.Join(md.Get("content-type"), ","))
		return &grpc_testing.SimpleResponse{Payload: r.GetPayload()}, nil
	}}, grpcpipe.ServerOptions()...)

	subtype := grpc.CallContentSubtype(jsonCodec{}.Name())
	late := func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
		return invoke(ctx, method, req, reply, cc, append(opts[:len(opts):len(opts)], subtype)...)
	}
	for _, tt := range []struct {
		name, contentType string
		json              bool
		dial              []grpc.DialOption
		call              []grpc.CallOption
	}{
		{name: "none", contentType: "application/grpc"},
		{name: "proto by name", contentType: "application/grpc+proto", call: []grpc.CallOption{grpc.CallContentSubtype("proto")}},
		{name: "by call", contentType: "application/grpc+gptestjson", json: true, call: []grpc.CallOption{subtype}},
		{name: "by channel", contentType: "application/grpc+gptestjson", json: true, dial: []grpc.DialOption{grpc.WithDefaultCallOptions(subtype)}},
		{name: "by interceptor", contentType: "application/grpc+gptestjson", json: true, dial: []grpc.DialOption{grpc.WithChainUnaryInterceptor(late)}},
		{name: "forced by call", contentType: "application/grpc+gptestjson", json: true, call: []grpc.CallOption{grpc.ForceCodec(jsonCodec{})}},
		{name: "forced by channel", contentType: "application/grpc+gptestjson", json: true, dial: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.ForceCodec(jsonCodec{}))}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stub := grpc_testing.NewTestServiceClient(client(t, name, tt.dial...))
			before := jsonUsed.Load()
			want := body(100_000)
			r, err := stub.UnaryCall(testContext(t), &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: want}}, tt.call...)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(r.GetPayload().GetBody(), want) {
				t.Error("something else came back")
			}
			if got := types.Load(); got != tt.contentType {
				t.Errorf("content-type %q, want %q", got, tt.contentType)
			}
			if used := jsonUsed.Load() - before; used != 0 != tt.json || tt.json && used != 4 {
				t.Errorf("the other codec was used %d times", used)
			}
			if tt.json && tt.dial != nil && tt.name == "by interceptor" {
				return // of calls only
			}
			echoes(t, stub, tt.call...)
		})
	}
}

// TestCodecRefuses: what isn't a message gets grpc's own words.
func TestCodecRefuses(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serveWith(t, name, &service{name: name}, append(grpcpipe.ServerOptions(), grpcpipe.ProtobufOnly())...)
	cc := client(t, name)
	var out grpc_testing.SimpleResponse
	err := cc.Invoke(testContext(t), grpc_testing.TestService_UnaryCall_FullMethodName, "text", &out)
	if err == nil || !strings.Contains(err.Error(), "message is string, want proto.Message") {
		t.Errorf("sending a string: %v", err)
	}
	var text string
	err = cc.Invoke(testContext(t), grpc_testing.TestService_UnaryCall_FullMethodName, &grpc_testing.SimpleRequest{}, &text)
	if err == nil || !strings.Contains(err.Error(), "message is *string, want proto.Message") {
		t.Errorf("receiving a string: %v", err)
	}
}

// TestCodecConcurrent sends different messages at once: none may come from a
// buffer of another.
func TestCodecConcurrent(t *testing.T) {
	t.Parallel()
	name := pipeName(t)
	serveWith(t, name, &service{name: name}, append(grpcpipe.ServerOptions(), grpcpipe.ProtobufOnly())...)
	stub := grpc_testing.NewTestServiceClient(client(t, name))
	errs := make(chan error)
	for i := range 16 {
		go func() {
			for j := range 50 {
				want := bytes.Repeat([]byte{byte(i), byte(j)}, 500+i*4000)
				r, err := stub.UnaryCall(testContext(t), &grpc_testing.SimpleRequest{Payload: &grpc_testing.Payload{Body: want}})
				if err == nil && !bytes.Equal(r.GetPayload().GetBody(), want) {
					err = fmt.Errorf("call %d of %d: something else came back", j, i)
				}
				if err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 16 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
