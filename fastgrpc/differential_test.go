package fastgrpc_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// head is a header list that a script changes: fields by name, "" for without.
func head(a *attacker, changes ...string) []byte {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"}, {Name: ":path", Value: emptyCall},
		{Name: ":authority", Value: "localhost"}, {Name: "te", Value: "trailers"}, {Name: "content-type", Value: "application/grpc"},
	}
	for i := 0; i < len(changes); i += 2 {
		name, value := changes[i], changes[i+1]
		k := slices.IndexFunc(fields, func(f hpack.HeaderField) bool { return f.Name == name })
		switch {
		case k < 0:
			fields = append(fields, hpack.HeaderField{Name: name, Value: value})
		case value == "":
			fields = slices.Delete(fields, k, k+1)
		default:
			fields[k].Value = value
		}
	}
	return a.fields(fields...)
}

// call sends a call of no bytes with a head that is changed.
func call(changes ...string) func(a *attacker) {
	return func(a *attacker) { a.WriteData(a.open(head(a, changes...), false), true, message(nil, false)) }
}

// inFront sends a call of no bytes with fields in front of its head.
func inFront(fields ...string) func(a *attacker) {
	return func(a *attacker) {
		block := bytes.Clone(head(a))
		var front []hpack.HeaderField
		for i := 0; i < len(fields); i += 2 {
			front = append(front, hpack.HeaderField{Name: fields[i], Value: fields[i+1], Sensitive: true}) // not in the table
		}
		a.WriteData(a.open(append(bytes.Clone(a.fields(front...)), block...), false), true, message(nil, false))
	}
}

// outcome plays a script and says what the server did: the status of each
// stream, resets, and the end of the connection.
func outcome(t *testing.T, pipe string, script func(a *attacker)) string {
	t.Helper()
	a, err := newAttacker(t.Context(), pipe, false)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	a.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	script(a)
	a.WritePing(false, [8]byte{42})
	a.w.Flush()
	var said []string
	for {
		f, err := a.ReadFrame()
		if err != nil {
			if !strings.Contains(err.Error(), "timeout") {
				said = append(said, "closed")
			}
			break
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			var about []string
			for _, h := range f.Fields {
				if h.Name == ":status" || h.Name == "grpc-status" {
					about = append(about, h.Name+" "+h.Value)
				}
			}
			said = append(said, fmt.Sprintf("%d: %s", f.StreamID, strings.Join(about, ", ")))
		case *http2.RSTStreamFrame:
			if f.ErrCode != http2.ErrCodeNo {
				said = append(said, fmt.Sprintf("%d: reset by %v", f.StreamID, f.ErrCode))
			}
		case *http2.GoAwayFrame:
			said = append(said, fmt.Sprintf("GOAWAY %v", f.ErrCode))
		case *http2.PingFrame:
			if f.IsAck() { // answers to the script itself may still come
				a.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
			}
		}
	}
	slices.Sort(said) // calls end in any order
	return strings.Join(said, "; ")
}

// Why the answers of the two servers differ.
const (
	silent  = "grpc-go closes the connection and doesn't say why"
	lenient = "grpc-go lets pass what RFC 9113 makes a connection error"
	passed  = "grpc-go answers what RFC 9113 calls a malformed request"
)

// TestAsGRPCGo plays the same frames to a server of grpc-go and to ours. Where
// they answer differently the reason is written down.
func TestAsGRPCGo(t *testing.T) {
	t.Parallel()
	ours := serveLimits(t, fastgrpc.ServerConfig{})
	theirs := testproc.PipeName()
	lis, err := namedpipe.Listen(t.Context(), theirs)
	if err != nil {
		t.Fatal(err)
	}
	s := interoptest.NewServer(grpcpipe.ServerOptions()...)
	go s.Serve(lis)
	t.Cleanup(s.Stop)
	for _, tt := range []struct {
		name   string
		script func(a *attacker)
		// differs says why the answers differ, and is empty if they don't.
		differs string
	}{
		{"a call", call(), ""},
		{"two calls", func(a *attacker) { call()(a); call()(a) }, ""},
		{"an unknown method", call(":path", "/grpc.testing.TestService/None"), ""},
		{"an unknown service", call(":path", "/none/None"), ""},
		{"a path without a slash", call(":path", strings.TrimPrefix(emptyCall, "/")), ""},
		{"a path of one slash", call(":path", "/"), ""},
		{"GET", call(":method", "GET"), ""},
		{"another content-type", call("content-type", "text/plain"), ""},
		{"no content-type", call("content-type", ""), ""},
		{"a content-type of gRPC-Web", call("content-type", "application/grpc-web"), ""},
		{"an unknown subtype", call("content-type", "application/grpc+none"), ""},
		{"no authority", call(":authority", ""), ""},
		{"host in place of authority", call(":authority", "", "host", "x"), ""},
		{"no te", call("te", ""), ""},
		{"a bad timeout", call("grpc-timeout", "1"), ""},
		{"a timeout of nine digits", call("grpc-timeout", "123456789S"), ""},
		{"an expired timeout", call("grpc-timeout", "0n"), ""},
		{"bad binary metadata", call("x-bin", "!!!"), ""},
		{"an unknown compression", call("grpc-encoding", "none-such"), ""},
		{"a connection header", call("connection", "close"), ""},
		{"a keep-alive header", call("keep-alive", "x"), passed},
		{"a proxy-connection header", call("proxy-connection", "x"), passed},
		{"a transfer-encoding header", call("transfer-encoding", "chunked"), passed},
		{"an upgrade header", call("upgrade", "x"), passed},
		{"another te", call("te", "gzip"), passed},
		{"an unknown pseudo-header", inFront(":none", "x"), ""},
		{"a pseudo-header behind others", call(":authority", "", "x", "y", ":authority", "x"), ""},
		{"two methods", inFront(":method", "POST"), ""},
		{"two paths", inFront(":path", emptyCall), ""},
		{"two schemes", inFront(":scheme", "http"), ""},
		{"two authorities", inFront(":authority", "x"), ""},
		{"two hosts", func(a *attacker) {
			a.open(a.request(emptyCall, hpack.HeaderField{Name: "host", Value: "x"}, hpack.HeaderField{Name: "host", Value: "y"}), true)
		}, ""},
		{"no method", call(":method", ""), passed},
		{"no path", call(":path", ""), passed},
		{"an empty path", func(a *attacker) { a.open(a.request(""), true) }, passed},
		{"no scheme", call(":scheme", ""), passed},
		{"an uppercase name", call("X-Large", "x"), ""},
		{"no message", func(a *attacker) { a.open(head(a), true) }, ""},
		{"two messages", func(a *attacker) {
			a.WriteData(a.open(head(a), false), true, append(message(nil, false), message(nil, false)...))
		}, ""},
		{"no message for a stream", func(a *attacker) { a.open(head(a, ":path", outputCall), true) }, ""},
		{"two messages for a stream", func(a *attacker) {
			a.WriteData(a.open(head(a, ":path", outputCall), false), true, append(message(nil, false), message(nil, false)...))
		}, ""},
		{"a message and a half", func(a *attacker) {
			a.WriteData(a.open(head(a), false), true, append(message(nil, false), 0, 0, 0, 0, 9, 1))
		}, ""},
		{"a message and a half for a stream", func(a *attacker) {
			a.WriteData(a.open(head(a, ":path", outputCall), false), true, append(message(nil, false), 0, 0, 0, 0, 9, 1))
		}, ""},
		{"half a message", func(a *attacker) { a.WriteData(a.open(head(a), false), true, []byte{0, 0, 0, 0, 9, 1}) }, ""},
		{"a message that is no protobuf", func(a *attacker) {
			a.WriteData(a.open(head(a), false), true, message([]byte{0xff}, false))
		}, ""},
		{"a compressed message without an encoding", func(a *attacker) { a.WriteData(a.open(head(a), false), true, message(nil, true)) }, ""},
		{"a message beyond the limit", func(a *attacker) {
			a.WriteData(a.open(head(a), false), false, []byte{0, 0xff, 0xff, 0xff, 0xff})
		}, ""},
		{"DATA on stream 0", func(a *attacker) { a.WriteData(0, false, nil) }, silent},
		{"DATA on an idle stream", func(a *attacker) { a.WriteData(9, false, nil) }, lenient},
		{"HEADERS on an even stream", func(a *attacker) { a.next = 2; a.open(head(a), true) }, ""},
		{"a stream id that falls", func(a *attacker) { a.next = 5; a.open(head(a), false); a.next = 3; a.open(head(a), true) }, ""},
		{"a bad header block", func(a *attacker) { a.open([]byte{0x80}, true) }, silent},
		{"PING on a stream", func(a *attacker) { a.WriteRawFrame(http2.FramePing, 0, 1, make([]byte, 8)) }, silent},
		{"a window beyond 2^31", func(a *attacker) { a.WriteWindowUpdate(0, 1<<31-1) }, lenient},
		{"a window update by 0", func(a *attacker) { a.WriteWindowUpdate(0, 0) }, silent},
		{"a frame size of 0", func(a *attacker) { a.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 0}) }, lenient},
		{"an unknown frame type", func(a *attacker) { a.WriteRawFrame(0x0b, 0, 0, nil); call()(a) }, ""},
		{"an unknown setting", func(a *attacker) { a.WriteSettings(http2.Setting{ID: 0xfe03, Val: 1}); call()(a) }, ""},
		{"PUSH_PROMISE", func(a *attacker) { a.WriteRawFrame(http2.FramePushPromise, 4, 1, make([]byte, 4)) }, lenient},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			our, their := outcome(t, ours, tt.script), outcome(t, theirs, tt.script)
			switch {
			case our == their && tt.differs != "":
				t.Errorf("both answer %q, though it should differ: %s", our, tt.differs)
			case our != their && tt.differs == "":
				t.Errorf("our answer: %q\n grpc-go's: %q", our, their)
			}
		})
	}
}
