package fastgrpc_test

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
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

// TestUploadCutOff: the handler of a stream whose client dies is told so. To it, the
// end of the stream is the end of what the client had to send.
func TestUploadCutOff(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		t.Parallel()
		pipe := testproc.PipeName()
		began, got := make(chan struct{}), make(chan error, 1)
		srv := e.NewServer(fastgrpc.ServerConfig{})
		testpb.RegisterTestServiceServer(srv, &service{in: func(st grpc.ClientStreamingServer[testpb.StreamingInputCallRequest, testpb.StreamingInputCallResponse]) error {
			st.Recv()
			close(began)
			_, err := st.Recv()
			got <- err
			return err
		}})
		serve(t, pipe, srv)
		c, err := namedpipe.Dial(testContext(t), pipe)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, http2.ClientPreface)
		fr := http2.NewFramer(c, c)
		fr.WriteSettings()
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: request("/grpc.testing.TestService/StreamingInputCall")})
		fr.WriteData(1, false, make([]byte, 5))
		<-began
		c.Close()
		if err := <-got; status.Code(err) != codes.Canceled {
			t.Errorf("the handler got %v", err)
		}
	})
}

// request is the header block of a request.
func request(path string, more ...string) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	fields := append([]string{":method", "POST", ":scheme", "http", ":path", path, ":authority", "localhost", "content-type", "application/grpc", "te", "trailers"}, more...)
	for i := 0; i < len(fields); i += 2 {
		enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return b.Bytes()
}
