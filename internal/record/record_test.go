package record

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

const protoFile = `syntax = "proto3";
package t;
import "google/protobuf/any.proto";
import "google/protobuf/struct.proto";
service S { rpc M (stream Q) returns (stream Q); }
message Q {
  bytes data = 1;
  string user_token = 2;
  Q inner = 3;
  repeated Q list = 4;
  map<string, string> labels = 5;
  google.protobuf.Any any = 6;
  google.protobuf.Struct free = 7;
  repeated string secrets = 8;
  string author = 9;
}`

func schema(t testing.TB) *inspect.Schema {
	t.Helper()
	path := filepath.Join(t.TempDir(), "t.proto")
	if err := os.WriteFile(path, []byte(protoFile), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := inspect.Source{Protos: []string{"t.proto"}, Imports: []string{filepath.Dir(path)}}.Load(t.Context(), inspect.Words{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A talk is the bytes of one side of a connection.
type talk struct {
	bytes.Buffer
	framer  *http2.Framer
	headers *hpack.Encoder
	block   bytes.Buffer
}

func newTalk(client bool) *talk {
	t := &talk{}
	if client {
		t.WriteString(http2.ClientPreface)
	}
	t.framer = http2.NewFramer(&t.Buffer, nil)
	t.headers = hpack.NewEncoder(&t.block)
	t.framer.WriteSettings()
	return t
}

func (t *talk) head(id uint32, end bool, fields ...string) {
	t.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		t.headers.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	b := t.block.Bytes() // in two frames
	t.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: b[:len(b)/2], EndStream: end})
	t.framer.WriteContinuation(id, true, b[len(b)/2:])
}

func (t *talk) message(id uint32, body []byte) {
	m := binary.BigEndian.AppendUint32([]byte{0}, uint32(len(body)))
	m = append(m, body...)
	for len(m) > 0 {
		n := min(len(m), 16<<10)
		t.framer.WriteData(id, false, m[:n])
		m = m[n:]
	}
}

// Both sides of a call, in pieces of any size, give the same lines.
func TestWatchInPieces(t *testing.T) {
	sch := schema(t)
	there, back := newTalk(true), newTalk(false)
	there.head(1, false, ":method", "POST", ":path", "/t.S/M", ":authority", "localhost", "authorization", "hush")
	there.message(1, []byte("\x0a\x02ab"))
	there.message(1, nil)
	there.framer.WriteData(1, true, nil)
	back.head(1, false, ":status", "200", "content-type", "application/grpc", "tenant", "blue")
	back.message(1, []byte("\x12\x04hush"))
	back.head(1, true, "grpc-status", "5", "grpc-message", "not%20here", "set-cookie", "hush")
	want := []string{
		`"event":"call"`, `"headers":{"authorization":["(redacted)"]}`, `"n":1,"size":4,"message":{"data":"YWI="}`, `"n":2,"message":{}`, `"event":"half_close"`,
		`"event":"headers"`, `"tenant":["blue"]`, `"message":{"userToken":"(redacted)"},"redacted":["userToken"]`,
		`"status":{"code":5,"name":"NOT_FOUND","message":"not here"}`,
	}
	for _, size := range []int{1, 2, 7, 1 << 20} {
		var out bytes.Buffer
		w := NewWriter(&out, Line{})
		a, b := NewRecorder(w, NewDecoder(func() (*inspect.Schema, error) { return sch, nil }), false).Watch(1)
		for _, side := range []struct {
			to   io.WriteCloser
			data []byte
		}{{a, there.Bytes()}, {b, back.Bytes()}} {
			for data := side.data; len(data) > 0; {
				n := min(size, len(data))
				side.to.Write(data[:n])
				data = data[n:]
			}
		}
		a.Close()
		b.Close()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		text := out.String()
		at := 0
		for _, part := range want {
			i := strings.Index(text[at:], part)
			if i < 0 {
				t.Fatalf("in pieces of %d: %s isn't there, or too early:\n%s", size, part, text)
			}
			at += i
		}
		if strings.Contains(text, "hush") {
			t.Errorf("a secret: %s", text)
		}
	}
}

// What is a secret by its name goes, wherever it is, and nothing else.
func TestRedact(t *testing.T) {
	sch := schema(t)
	m, err := sch.Method("t.S/M")
	if err != nil {
		t.Fatal(err)
	}
	msg := dynamicpb.NewMessage(m.Input())
	const all = `{"author":"kept","userToken":"hush","inner":{"userToken":"hush"},"list":[{"userToken":"hush"}],"labels":{"password":"hush","color":"kept"},
		"any":{"@type":"x/t.Q","userToken":"hush","author":"kept"},"free":{"api_key":"hush","n":{"token":"hush"},"x":"kept"},"secrets":["hush"]}`
	if err := (protojson.UnmarshalOptions{Resolver: sch.Types()}).Unmarshal([]byte(all), msg); err != nil {
		t.Fatal(err)
	}
	r := redactor{types: sch.Types()}
	r.message(msg, "")
	text, err := protojson.MarshalOptions{Resolver: sch.Types()}.Marshal(msg)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(text, []byte("hush")) || bytes.Count(text, []byte("kept")) != 4 || len(r.hidden) != 8 {
		t.Errorf("%s, %q", text, r.hidden)
	}
}

// The record of a stream takes memory for a message, not for the stream.
func TestMemory(t *testing.T) {
	const messages, size = 400, 64 << 10 // 25 MiB
	sch := schema(t)
	body := binary.AppendUvarint([]byte{0x0a}, size)
	body = append(body, make([]byte, size)...)
	w := NewWriter(io.Discard, Line{})
	there, back := NewRecorder(w, NewDecoder(func() (*inspect.Schema, error) { return sch, nil }), false).Watch(1)
	talk := newTalk(true)
	talk.head(1, false, ":method", "POST", ":path", "/t.S/M", ":authority", "localhost")
	var first, last uint64
	for i := range messages {
		talk.message(1, body)
		there.Write(talk.Bytes())
		talk.Reset()
		if i == messages/4 || i == messages-1 {
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			first, last = last, m.HeapAlloc
		}
	}
	there.Close()
	back.Close()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if grown := int64(last) - int64(first); grown > 4<<20 {
		t.Errorf("%d bytes in use after a quarter, %d at the end", first, last)
	}
}

// A file that can't be written is an error at the end, and the calls go on.
func TestFullDisk(t *testing.T) {
	w := NewWriter(failing{}, Line{})
	there, back := NewRecorder(w, NewDecoder(func() (*inspect.Schema, error) { return schema(t), nil }), false).Watch(1)
	talk := newTalk(true)
	talk.head(1, true, ":method", "POST", ":path", "/t.S/M")
	if n, err := there.Write(talk.Bytes()); n != talk.Len() || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	there.Close()
	back.Close()
	if err := w.Close(); err != io.ErrShortWrite {
		t.Errorf("%v", err)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, io.ErrShortWrite }

// No bytes of a client or a server make the recorder fail.
func FuzzWatch(f *testing.F) {
	talk := newTalk(true)
	talk.head(1, false, ":method", "POST", ":path", "/t.S/M")
	talk.message(1, []byte("\x0a\x02ab"))
	f.Add(talk.Bytes(), talk.Bytes()[len(http2.ClientPreface):])
	sch := schema(f)
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var out bytes.Buffer
		w := NewWriter(&out, Line{})
		there, back := NewRecorder(w, NewDecoder(func() (*inspect.Schema, error) { return sch, nil }), false).Watch(1)
		there.Write(a)
		back.Write(b)
		there.Close()
		back.Close()
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(out.Bytes()) {
			if !json.Valid(line) {
				t.Fatalf("%s", line)
			}
		}
	})
}
