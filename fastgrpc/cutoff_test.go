package fastgrpc_test

import (
	"context"
	"io"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A server that dies within a message is Unavailable, as at any other moment:
// nothing is wrong with what it has sent.
func TestCutOffWithinMessage(t *testing.T) {
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		for _, sent := range []int64{20_000, 100_000, 300_000} {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			behind, err := namedpipe.Listen(ctx, testproc.PipeName())
			if err != nil {
				t.Fatal(err)
			}
			srv := engine.GRPC.NewTestServer(fastgrpc.ServerConfig{})
			go srv.Serve(behind)
			defer srv.Stop()
			front, err := namedpipe.Listen(ctx, testproc.PipeName())
			if err != nil {
				t.Fatal(err)
			}
			defer front.Close()
			go relay(ctx, front, behind.Addr().String(), sent)
			cc, err := e.NewClient(front.Addr().String(), fastgrpc.ClientConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer cc.Close()
			stream, err := testpb.NewTestServiceClient(cc).StreamingOutputCall(ctx, &testpb.StreamingOutputCallRequest{
				ResponseParameters: []*testpb.ResponseParameters{{Size: 1 << 20}},
			})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := stream.Recv(); status.Code(err) != codes.Unavailable {
				t.Errorf("cut off after %d bytes: %v", sent, err)
			}
		}
	})
}

// relay connects one client with a server and cuts both off when the server has
// sent that number of bytes.
func relay(ctx context.Context, front *namedpipe.Listener, behind string, bytes int64) {
	client, err := front.Accept()
	if err != nil {
		return
	}
	defer client.Close()
	server, err := namedpipe.Dial(ctx, behind)
	if err != nil {
		return
	}
	defer server.Close()
	go io.Copy(server, client)
	io.CopyN(client, server, bytes)
}
