package fastgrpc_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/codes"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A badServer is a server of frames that answers each request by attack.
type badServer struct {
	*http2.Framer
	w    *bufio.Writer
	enc  *hpack.Encoder
	head bytes.Buffer
}

func (s *badServer) fields(fields ...hpack.HeaderField) []byte {
	s.head.Reset()
	for _, f := range fields {
		s.enc.WriteField(f)
	}
	return bytes.Clone(s.head.Bytes())
}

// answer is the head of a response.
func (s *badServer) answer(more ...hpack.HeaderField) []byte {
	return s.fields(append([]hpack.HeaderField{{Name: ":status", Value: "200"}, {Name: "content-type", Value: "application/grpc"}}, more...)...)
}

func (s *badServer) headers(id uint32, block []byte, end bool) {
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndHeaders: true, EndStream: end})
}

// serve answers requests by attack until the connection ends. What it reads
// beside them is dropped.
func serveBadly(c net.Conn, first []http2.Setting, attack func(s *badServer, id uint32)) {
	s := &badServer{w: bufio.NewWriterSize(c, 32<<10)}
	s.Framer = http2.NewFramer(s.w, c)
	s.AllowIllegalWrites = true
	s.enc = hpack.NewEncoder(&s.head)
	if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	s.WriteSettings(first...)
	if s.w.Flush() != nil {
		return
	}
	for {
		f, err := s.ReadFrame()
		if err != nil {
			return
		}
		if h, ok := f.(*http2.HeadersFrame); ok {
			attack(s, h.StreamID)
			if s.w.Flush() != nil {
				return
			}
		}
	}
}

const endless = 1 << 22 // frames, far more than any limit

// badServers are what servers do once a call has begun, and the code that the
// call ends with.
var badServers = []struct {
	name     string
	settings []http2.Setting
	attack   func(s *badServer, id uint32)
	code     codes.Code
}{
	{"a frame size of 0 (CVE-2026-33814)", []http2.Setting{{ID: http2.SettingMaxFrameSize, Val: 0}}, func(*badServer, uint32) {}, codes.Unavailable},
	{"frames of unknown types (CVE-2026-27141)", nil, func(s *badServer, id uint32) {
		for range endless {
			if s.WriteRawFrame(0x0b, 0xff, id, []byte("x")) != nil {
				return
			}
		}
	}, codes.Unavailable},
	{"PUSH_PROMISE", nil, func(s *badServer, id uint32) {
		s.WritePushPromise(http2.PushPromiseParam{StreamID: id, PromiseID: 2, BlockFragment: s.answer(), EndHeaders: true})
	}, codes.Unavailable},
	{"PING flood", nil, func(s *badServer, _ uint32) {
		for range endless {
			if s.WritePing(false, [8]byte{}) != nil {
				return
			}
		}
	}, codes.Unavailable},
	{"SETTINGS flood", nil, func(s *badServer, _ uint32) {
		for range endless {
			if s.WriteSettings() != nil {
				return
			}
		}
	}, codes.Unavailable},
	{"CONTINUATION flood", nil, func(s *badServer, id uint32) {
		s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.answer()})
		for range endless {
			if s.WriteContinuation(id, false, []byte{0x88}) != nil {
				return
			}
		}
	}, codes.Unavailable},
	{"interim answers without end", nil, func(s *badServer, id uint32) {
		for range endless {
			if s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: s.fields(hpack.HeaderField{Name: ":status", Value: "100"}), EndHeaders: true}) != nil {
				return
			}
		}
	}, codes.Unavailable},
	{"empty DATA flood", nil, func(s *badServer, id uint32) {
		s.headers(id, s.answer(), false)
		for range endless {
			if s.WriteData(id, false, nil) != nil {
				return
			}
		}
	}, codes.Unavailable},
	{"HPACK bomb", nil, func(s *badServer, id uint32) {
		block := s.answer(hpack.HeaderField{Name: "x-bomb", Value: strings.Repeat("x", 3800)})
		s.headers(id, append(block, bytes.Repeat([]byte{0x80 | 62}, 16000)...), true)
	}, codes.Internal},
	{"compressed bomb", nil, func(s *badServer, id uint32) {
		s.headers(id, s.answer(hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"}), false)
		for p := bomb(); len(p) > 0; {
			n := min(len(p), 16<<10)
			s.WriteData(id, false, p[:n])
			p = p[n:]
		}
		s.headers(id, s.fields(hpack.HeaderField{Name: "grpc-status", Value: "0"}), true)
	}, codes.ResourceExhausted},
	{"a message announced of 4 GiB", nil, func(s *badServer, id uint32) {
		s.headers(id, s.answer(), false)
		s.WriteData(id, false, []byte{0, 0xff, 0xff, 0xff, 0xff, 1})
	}, codes.ResourceExhausted},
	{moreThanWindow, nil, func(s *badServer, id uint32) {
		s.headers(id, s.answer(), false)
		s.WriteData(id, false, message(make([]byte, 4<<20), false)[:5])
		for range endless {
			if s.WriteData(id, false, make([]byte, 16<<10)) != nil {
				return
			}
		}
	}, codes.ResourceExhausted},
	{"a window beyond 2^31", nil, func(s *badServer, id uint32) {
		s.WriteWindowUpdate(id, 1<<31-1)
		s.WriteWindowUpdate(id, 1<<31-1)
	}, codes.ResourceExhausted},
	{"frames behind GOAWAY (CVE-2026-27135)", nil, func(s *badServer, id uint32) {
		s.WriteGoAway(0, http2.ErrCodeNo, nil)
		s.headers(id, s.answer(), false)
		s.WriteData(id, true, message(nil, false))
		s.WriteGoAway(id, http2.ErrCodeNo, nil) // grows
	}, codes.Unavailable},
	{"an answer on a stream that was never opened", nil, func(s *badServer, id uint32) { s.headers(id+100, s.answer(), true) }, codes.Unavailable},
	{"an answer that stops", nil, func(s *badServer, id uint32) { s.headers(id, s.answer(), false) }, codes.DeadlineExceeded},
	{"uppercase names", nil, func(s *badServer, id uint32) {
		s.headers(id, s.answer(hpack.HeaderField{Name: "X-Large", Value: "x"}), true)
	}, codes.Internal},
	{"HTTP 400", nil, answers([]string{":status", "400", "content-type", "text/html"}), codes.Internal},
	{"HTTP 401", nil, answers([]string{":status", "401", "content-type", "text/html"}), codes.Unauthenticated},
	{"HTTP 403", nil, answers([]string{":status", "403"}), codes.PermissionDenied},
	{"HTTP 404 and a status of gRPC", nil, answers([]string{":status", "404", "grpc-status", "5"}), codes.Unimplemented},
	{"HTTP 429", nil, answers([]string{":status", "429"}), codes.Unavailable},
	{"HTTP 503, the body follows", nil, func(s *badServer, id uint32) {
		s.headers(id, s.fields(hpack.HeaderField{Name: ":status", Value: "503"}, hpack.HeaderField{Name: "content-type", Value: "text/html"}), false)
		s.WriteData(id, true, []byte("<html>"))
	}, codes.Unavailable},
	{"HTTP 418", nil, answers([]string{":status", "418"}), codes.Unknown},
	{"HTTP 200 of another content-type", nil, answers([]string{":status", "200", "content-type", "text/html", "grpc-status", "0"}), codes.Unknown},
	{"trailers only without a content-type", nil, answers([]string{":status", "200", "grpc-status", "5"}), codes.NotFound},
	{"a head and no more", nil, answers([]string{":status", "200", "content-type", "application/grpc"}), codes.Internal},
	{"trailers without a status", nil, answers([]string{":status", "200", "content-type", "application/grpc"}, []string{"x", "y"}), codes.Unknown},
	{"a status that is no number", nil, answers([]string{":status", "200", "content-type", "application/grpc", "grpc-status", "x"}), codes.Unknown},
	{"details of another status", nil, answers([]string{":status", "200", "content-type", "application/grpc", "grpc-status", "5",
		"grpc-status-details-bin", base64.RawStdEncoding.EncodeToString([]byte{8, 3})}), codes.NotFound},
	{"a message cut short by its escape", nil, answers([]string{":status", "200", "content-type", "application/grpc", "grpc-status", "5", "grpc-message", "%4"}), codes.NotFound},
	{"no message", nil, answersWith(nil), codes.Internal},
	{"two messages", nil, answersWith(append(message(nil, false), message(nil, false)...)), codes.Internal},
	{"a message and a half", nil, answersWith(append(message(nil, false), 0, 0, 0, 0, 9, 1)), codes.Internal},
	{"half a message", nil, answersWith([]byte{0, 0, 0, 0, 9, 1}), codes.Internal},
	{"a message compressed by nothing", nil, answersWith(message(nil, true)), codes.Internal},
	{"a message compressed by something else", nil, answersWith(message(nil, true), hpack.HeaderField{Name: "grpc-encoding", Value: "none-such"}), codes.Internal},
	{"a compressed message cut short", nil, func(s *badServer, id uint32) {
		var b bytes.Buffer
		gzip.NewWriter(&b).Close() // nothing, and its checksum
		answersWith(message(b.Bytes()[:b.Len()-1], true), hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"})(s, id)
	}, codes.Internal},
	{"a message that is no protobuf", nil, answersWith(message([]byte{0xff}, false)), codes.Internal},
	{"a reset: CANCEL", nil, resets(http2.ErrCodeCancel), codes.Canceled},
	{"a reset: INTERNAL_ERROR", nil, resets(http2.ErrCodeInternal), codes.Internal},
	{"a reset: ENHANCE_YOUR_CALM", nil, resets(http2.ErrCodeEnhanceYourCalm), codes.ResourceExhausted},
	{"a reset: INADEQUATE_SECURITY", nil, resets(http2.ErrCodeInadequateSecurity), codes.PermissionDenied},
	{"a reset: a code of nobody's", nil, resets(99), codes.Unknown},
}

// moreThanWindow is nothing to a stream, which takes its message as it comes.
const moreThanWindow = "more than the window"

// answers sends heads, each of names and values, the last of which ends the
// stream.
func answers(heads ...[]string) func(s *badServer, id uint32) {
	return func(s *badServer, id uint32) {
		for i, head := range heads {
			var fields []hpack.HeaderField
			for k := 0; k < len(head); k += 2 {
				fields = append(fields, hpack.HeaderField{Name: head[k], Value: head[k+1]})
			}
			s.headers(id, s.fields(fields...), i == len(heads)-1)
		}
	}
}

// answersWith sends a head, bytes and the status OK.
func answersWith(p []byte, head ...hpack.HeaderField) func(s *badServer, id uint32) {
	return func(s *badServer, id uint32) {
		s.headers(id, s.answer(head...), false)
		s.WriteData(id, false, p)
		s.headers(id, s.fields(hpack.HeaderField{Name: "grpc-status", Value: "0"}), true)
	}
}

func resets(code http2.ErrCode) func(s *badServer, id uint32) {
	return func(s *badServer, id uint32) { s.WriteRSTStream(id, code) }
}

// TestBadServers: whatever a server answers, the call ends with an error and in
// time, the client takes no more memory than its limits say, and it can call the
// next server.
func TestBadServers(t *testing.T) {
	bomb() // made before any call's time runs
	for _, tt := range badServers {
		t.Run(tt.name, func(t *testing.T) {
			pipe := testproc.PipeName()
			lis, err := namedpipe.Listen(t.Context(), pipe)
			if err != nil {
				t.Fatal(err)
			}
			var conns sync.WaitGroup
			var seen atomic.Int64
			accepted := make(chan struct{})
			go func() {
				defer close(accepted)
				for {
					c, err := lis.Accept()
					if err != nil {
						return
					}
					c.SetDeadline(time.Now().Add(15 * time.Second))
					conns.Go(func() {
						defer c.Close()
						serveBadly(c, tt.settings, func(s *badServer, id uint32) { seen.Add(1); tt.attack(s, id) })
					})
				}
			}()
			defer func() { lis.Close(); <-accepted; conns.Wait() }()
			cc := newClient(t, pipe)
			defer cc.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			heap := watchHeap()
			_, err = testpb.NewTestServiceClient(cc).EmptyCall(ctx, &testpb.Empty{})
			if tt.code != codes.DeadlineExceeded && tt.name != moreThanWindow { // a stream on a new connection ends as a unary call does
				cc := newClient(t, pipe)
				defer cc.Close()
				st, ended := testpb.NewTestServiceClient(cc).StreamingInputCall(ctx)
				if ended == nil && strings.HasPrefix(tt.name, "HTTP 4") {
					if _, err := st.Header(); status.Code(err) != tt.code {
						t.Errorf("the header of the stream: %v, want %v", err, tt.code)
					}
				}
				if ended == nil {
					_, ended = st.CloseAndRecv()
				}
				if status.Code(ended) != tt.code {
					t.Errorf("the stream ended with %v, want %v", ended, tt.code)
				}
			}
			if grown := heap(); grown > 64 {
				t.Errorf("the heap grew by %.0f MiB", grown)
			}
			if status.Code(err) != tt.code {
				t.Errorf("the call ended with %v, want %v", err, tt.code)
			}
			if n := seen.Load(); n != 2 && strings.HasPrefix(tt.name, "a reset") {
				t.Errorf("the server saw %d calls: one that it may have acted on was made again", n)
			}
			if ctx.Err() != nil && tt.code != codes.DeadlineExceeded {
				t.Error("the call ended by its deadline only")
			}
			cc.Close()
		})
	}
}
