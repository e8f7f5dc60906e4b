package fastgrpc_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/connectivity"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A refuser is a server that doesn't look at the first calls.
type refuser struct {
	refuse int  // how many
	goAway bool // and goes away in their place
	seen   atomic.Int64
	got    chan []byte // the messages of the call that is served
}

func (r *refuser) serve(c net.Conn) {
	defer c.Close()
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	fr := http2.NewFramer(c, c)
	fr.WriteSettings()
	var messages bytes.Buffer
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return
		}
		end := false
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				fr.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			if r.seen.Add(1) <= int64(r.refuse) {
				if r.goAway {
					fr.WriteGoAway(0, http2.ErrCodeNo, nil)
				} else {
					fr.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream)
				}
				continue
			}
			messages.Reset()
			end = f.StreamEnded()
		case *http2.DataFrame:
			messages.Write(f.Data())
			end = f.StreamEnded()
		}
		if end && r.seen.Load() > int64(r.refuse) {
			r.got <- bytes.Clone(messages.Bytes())
			r.answer(fr, f.Header().StreamID)
		}
	}
}

// answer sends an empty message and OK.
func (r *refuser) answer(fr *http2.Framer, id uint32) {
	fields := func(kv ...string) []byte {
		var b bytes.Buffer
		enc := hpack.NewEncoder(&b)
		for i := 0; i < len(kv); i += 2 {
			enc.WriteField(hpack.HeaderField{Name: kv[i], Value: kv[i+1]})
		}
		return b.Bytes()
	}
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, BlockFragment: fields(":status", "200", "content-type", "application/grpc")})
	fr.WriteData(id, false, make([]byte, 5))
	fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: fields("grpc-status", "0")})
}

// TestRepeat: a call that the server has not looked at is made again, whole, and
// once only.
func TestRepeat(t *testing.T) {
	t.Parallel()
	want := []byte{0, 0, 0, 0, 0} // an empty message
	for _, tt := range []struct {
		refuse int
		goAway bool
		code   codes.Code
	}{{0, false, codes.OK}, {1, false, codes.OK}, {2, false, codes.Unavailable}, {1, true, codes.OK}, {2, true, codes.Unavailable}} {
		for _, stream := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d refused, GOAWAY %t, stream %t", tt.refuse, tt.goAway, stream), func(t *testing.T) {
				t.Parallel()
				r := &refuser{refuse: tt.refuse, goAway: tt.goAway, got: make(chan []byte, 1)}
				pipe := testproc.PipeName()
				lis, err := namedpipe.Listen(t.Context(), pipe)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { lis.Close() })
				go func() {
					for c, err := lis.Accept(); err == nil; c, err = lis.Accept() {
						go r.serve(c)
					}
				}()
				cc := newClient(t, pipe)
				calls := testpb.NewTestServiceClient(cc)
				n := 1
				if stream {
					n = 3
					var st testpb.TestService_FullDuplexCallClient
					if st, err = calls.FullDuplexCall(testContext(t)); err == nil {
						for range n {
							if err := st.Send(&testpb.StreamingOutputCallRequest{}); err != nil && tt.code == codes.OK {
								t.Errorf("Send: %v", err)
							}
						}
						st.CloseSend()
						if _, err = st.Recv(); err == nil {
							_, err = st.Recv()
						}
						if err == io.EOF {
							err = nil
						}
					}
				} else {
					_, err = calls.EmptyCall(testContext(t), &testpb.Empty{})
				}
				if status.Code(err) != tt.code {
					t.Errorf("the call ended with %v, want %v", err, tt.code)
				}
				if n := r.seen.Load(); n != int64(min(tt.refuse+1, 2)) {
					t.Errorf("the server saw %d calls", n)
				}
				if tt.code == codes.OK && err == nil {
					if got := <-r.got; !bytes.Equal(got, bytes.Repeat(want, n)) {
						t.Errorf("the server got % x", got)
					}
				}
			})
		}
	}
}

// TestRepeatTooMuch: a stream that has sent more than is kept is not made again.
func TestRepeatTooMuch(t *testing.T) {
	t.Parallel()
	r := &refuser{refuse: 1, got: make(chan []byte, 1)}
	pipe := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	go func() {
		for c, err := lis.Accept(); err == nil; c, err = lis.Accept() {
			go r.serve(c)
		}
	}()
	st, err := testpb.NewTestServiceClient(newClient(t, pipe)).FullDuplexCall(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	st.Send(&testpb.StreamingOutputCallRequest{Payload: &testpb.Payload{Body: make([]byte, 100<<10)}})
	st.CloseSend()
	if _, err := st.Recv(); status.Code(err) != codes.Unavailable || r.seen.Load() != 1 {
		t.Errorf("the call ended with %v, the server saw %d", err, r.seen.Load())
	}
}

// TestWaitForReadyIsNotEarly: a call that waits for ready, and is made again when a
// connection fails, is not sent before the server's settings are there. A server
// that fails before that may have served it.
func TestWaitForReadyIsNotEarly(t *testing.T) {
	t.Parallel()
	pipe := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), pipe)
	if err != nil {
		t.Fatal(err)
	}
	defer lis.Close()
	const failing = 3
	r := &refuser{got: make(chan []byte, 1)}
	early := make(chan int, failing)
	go func() {
		for n := 0; ; n++ {
			c, err := lis.Accept()
			if err != nil {
				return
			}
			if n >= failing {
				go r.serve(c)
				continue
			}
			c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
			fr, heads := http2.NewFramer(c, c), 0
			for f, err := fr.ReadFrame(); err == nil; f, err = fr.ReadFrame() {
				if f.Header().Type == http2.FrameHeaders {
					heads++
				}
			}
			early <- heads
			c.Close()
		}
	}()
	mustCall(testContext(t), t, newClient(t, pipe), grpc.WaitForReady(true))
	for range failing {
		if n := <-early; n != 0 {
			t.Errorf("%d calls came before the settings", n)
		}
	}
}

// A meanwhile is credentials that do something before the first call is sent.
type meanwhile struct {
	token
	once *sync.Once
	do   func()
}

func (m meanwhile) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	m.once.Do(m.do)
	return nil, nil
}

// TestLostBeforeSent: a call whose connection ends after it was chosen, and before
// anything was sent, goes over the next.
func TestLostBeforeSent(t *testing.T) {
	t.Parallel()
	p := newPair(t, "fastgrpc", "fastgrpc")
	p.unary = echoUnary
	p.serve(fastgrpc.ServerConfig{})
	p.dial(fastgrpc.ClientConfig{})
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	if _, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}); err != nil {
		t.Fatal(err)
	}
	replace := meanwhile{once: new(sync.Once), do: func() {
		p.srv.Stop()
		p.cc.(*fastgrpc.ClientConn).WaitForStateChange(ctx, connectivity.Ready)
		p.serve(fastgrpc.ServerConfig{})
	}}
	if _, err := p.calls.UnaryCall(ctx, &testpb.SimpleRequest{}, grpc.PerRPCCredentials(replace)); err != nil {
		t.Error(err)
	}
}
