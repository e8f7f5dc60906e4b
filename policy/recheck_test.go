package policy_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/namedpipe"
	"github.com/grpcpipe/grpcpipe/policy"
)

// A door is a policy for everyone while it is open.
type door struct {
	closed atomic.Bool
	policy *policy.Policy
}

func newDoor(t *testing.T) *door {
	d := &door{}
	var err error
	d.policy, err = policy.New(policy.Config{
		Recheck: time.Millisecond,
		Rules: map[string]policy.Requirement{"*": policy.Check("an open door", func(context.Context, *namedpipe.Peer) error {
			if d.closed.Load() {
				return errors.New("closed")
			}
			return nil
		})},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// handleAll serves streams of every method with the handler.
func handleAll(handler grpc.StreamHandler) grpc.StreamServerInterceptor {
	return func(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, _ grpc.StreamHandler) error {
		return handler(srv, ss)
	}
}

// TestRecheck: a stream ends when the policy, asked again, refuses, whether its
// handler waits in RecvMsg or for its context, or is about to send.
func TestRecheck(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		t.Parallel()
		reply := &grpc_testing.StreamingOutputCallResponse{}
		for how, handler := range map[string]grpc.StreamHandler{
			"receiving": func(_ any, stream grpc.ServerStream) error {
				for {
					var m grpc_testing.StreamingOutputCallRequest
					if err := stream.RecvMsg(&m); err != nil {
						return err
					}
					stream.SendMsg(reply)
				}
			},
			"sending": func(_ any, stream grpc.ServerStream) error {
				for {
					if err := stream.SendMsg(reply); err != nil {
						return err
					}
				}
			},
			"waiting": func(_ any, stream grpc.ServerStream) error {
				stream.SendMsg(reply)
				<-stream.Context().Done()
				return nil
			},
		} {
			t.Run(how, func(t *testing.T) {
				d := newDoor(t)
				cc := serve(t, e, &echo{}, d.policy, handleAll(handler))
				stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(testContext(t))
				if err != nil {
					t.Fatal(err)
				}
				stream.Send(&grpc_testing.StreamingOutputCallRequest{})
				if _, err := stream.Recv(); err != nil {
					t.Fatal(err)
				}
				d.closed.Store(true)
				for err == nil {
					_, err = stream.Recv()
				}
				if status.Code(err) != codes.PermissionDenied {
					t.Errorf("the stream ended with %v", err)
				}
				wantText(t, err, "requires an open door")
			})
		}
	})
}

// rawCodec carries bytes as they are.
type rawCodec struct{}

func init() { encoding.RegisterCodec(rawCodec{}) }

func (rawCodec) Name() string                  { return "raw" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = append(*v.(*[]byte), b...)
	return nil
}

// TestRecheckOtherMessages: a message of another codec's is received into the
// handler's own, and the stream ends with the next one.
func TestRecheckOtherMessages(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		t.Parallel()
		d := newDoor(t)
		got := make(chan string, 1)
		cc := serve(t, e, &echo{}, d.policy, handleAll(func(_ any, stream grpc.ServerStream) error {
			for {
				m := []byte("got ")
				if err := stream.RecvMsg(&m); err != nil {
					return err
				}
				select {
				case got <- string(m):
				default: // only the first matters
				}
			}
		}))
		stream, err := cc.NewStream(testContext(t), &grpc.StreamDesc{ClientStreams: true}, "/grpc.testing.TestService/StreamingInputCall", grpc.ForceCodec(rawCodec{}))
		if err != nil {
			t.Fatal(err)
		}
		word := []byte("word")
		if err := stream.SendMsg(&word); err != nil {
			t.Fatal(err)
		}
		if m := <-got; m != "got word" {
			t.Errorf("the handler's message is %q", m)
		}
		d.closed.Store(true)
		for stream.SendMsg(&word) == nil {
		}
		if err := stream.RecvMsg(&word); status.Code(err) != codes.PermissionDenied {
			t.Errorf("the stream ended with %v", err)
		}
	})
}

// TestRecheckLeavesStreamsAlone: a stream that stays allowed is not disturbed.
func TestRecheckLeavesStreamsAlone(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		t.Parallel()
		guard, err := policy.New(policy.Config{
			Recheck: time.Millisecond,
			Rules:   map[string]policy.Requirement{"*": policy.SameUser()},
		})
		if err != nil {
			t.Fatal(err)
		}
		cc := serve(t, e, &echo{}, guard)
		stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 500 {
			want := &grpc_testing.Payload{Body: []byte(fmt.Sprint(i))}
			if err := stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: want}); err != nil {
				t.Fatal(err)
			}
			reply, err := stream.Recv()
			if err != nil || string(reply.Payload.Body) != string(want.Body) {
				t.Fatalf("message %d: %v, %v", i, reply, err)
			}
		}
		stream.CloseSend()
		if _, err := stream.Recv(); err != io.EOF {
			t.Errorf("the end: %v", err)
		}
	})
}

// TestRecheckDynamicMessages: a message whose type is known only when it is made
// is received whole.
func TestRecheckDynamicMessages(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		t.Parallel()
		d := newDoor(t)
		desc := (&grpc_testing.StreamingOutputCallRequest{}).ProtoReflect().Descriptor()
		cc := serve(t, e, &echo{}, d.policy, handleAll(func(_ any, stream grpc.ServerStream) error {
			for m := dynamicpb.NewMessage(desc); ; {
				if err := stream.RecvMsg(m); err != nil {
					return err
				}
				payload := m.Get(desc.Fields().ByName("payload")).Message()
				body := payload.Get(payload.Descriptor().Fields().ByName("body")).Bytes()
				reply := &grpc_testing.StreamingOutputCallResponse{Payload: &grpc_testing.Payload{Body: body}}
				if err := stream.SendMsg(reply); err != nil {
					return err
				}
			}
		}))
		stream, err := grpc_testing.NewTestServiceClient(cc).FullDuplexCall(testContext(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range []string{"one", "", "three"} {
			stream.Send(&grpc_testing.StreamingOutputCallRequest{Payload: &grpc_testing.Payload{Body: []byte(word)}})
			if reply, err := stream.Recv(); err != nil || string(reply.Payload.Body) != word {
				t.Fatalf("%v, %v; want %q", reply, err, word)
			}
		}
	})
}

// A pool hands out the messages of handlers that are done with them.
type pooled struct {
	grpc_testing.UnimplementedTestServiceServer
	pool sync.Pool
}

func (p *pooled) StreamingInputCall(s grpc_testing.TestService_StreamingInputCallServer) error {
	m, _ := p.pool.Get().(*grpc_testing.StreamingInputCallRequest)
	if m == nil {
		m = new(grpc_testing.StreamingInputCallRequest)
	}
	defer func() {
		m.Reset() // the message is the handler's again
		p.pool.Put(m)
	}()
	for {
		if err := s.RecvMsg(m); err != nil {
			return err
		}
		if len(m.Payload.Body) != len(bigBody) {
			return status.Errorf(codes.Internal, "a message of %d bytes", len(m.Payload.Body))
		}
	}
}

var bigBody = make([]byte, 3<<20)

// TestRecheckLeavesMessagesAlone: when a stream is ended while its handler
// receives, nothing writes into the handler's message any more. The race
// detector looks.
func TestRecheckLeavesMessagesAlone(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		t.Parallel()
		door := newDoor(t)
		cc := serve(t, e, &pooled{}, door.policy)
		body := &grpc_testing.StreamingInputCallRequest{Payload: &grpc_testing.Payload{Body: bigBody}}
		for range 20 {
			door.closed.Store(false)
			s, err := grpc_testing.NewTestServiceClient(cc).StreamingInputCall(testContext(t))
			if err != nil {
				t.Fatal(err)
			}
			for sent := 0; s.Send(body) == nil; sent++ {
				if sent == 2 {
					door.closed.Store(true)
				}
			}
			if _, err := s.CloseAndRecv(); status.Code(err) != codes.PermissionDenied {
				t.Fatal(err)
			}
		}
	})
}
