package fastgrpc_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	testpb "google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/protobuf/proto"
)

const calm = http2.ErrCodeEnhanceYourCalm

// message is a gRPC message as it goes over the wire.
func message(b []byte, compressed bool) []byte {
	head := make([]byte, 5, 5+len(b))
	if compressed {
		head[0] = 1
	}
	binary.BigEndian.PutUint32(head[1:], uint32(len(b)))
	return append(head, b...)
}

// bomb is a compressed message of 128 MiB of zeros.
var bomb = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 128 {
		w.Write(zeros)
	}
	w.Close()
	return message(b.Bytes(), true)
})

// attacks are the known ones on HTTP/2 and gRPC, with the CVE that made each
// known where there is one.
var attacks = []attack{
	{
		name: "rapid reset (CVE-2023-44487)", cut: true, code: calm,
		step: func(a *attacker) {
			a.WriteRSTStream(a.open(a.request(emptyCall), false), http2.ErrCodeCancel)
		},
	},
	{
		name: "made you reset (CVE-2025-8671)", cut: true, code: calm,
		step: func(a *attacker) {
			a.WriteWindowUpdate(a.open(a.request(duplexCall), false), 0)
		},
	},
	{
		name: "CONTINUATION flood (CVE-2023-45288)", cut: true, code: calm,
		prepare: func(a *attacker) {
			a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.request(emptyCall), EndStream: true})
		},
		step: func(a *attacker) { a.WriteContinuation(1, false, a.fields(hpack.HeaderField{Name: "x", Value: "y"})) },
	},
	{
		name: "empty CONTINUATION flood", cut: true, code: calm,
		prepare: func(a *attacker) {
			a.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: a.request(emptyCall), EndStream: true})
		},
		step: func(a *attacker) { a.WriteContinuation(1, false, nil) },
	},
	{
		name: "PING flood (CVE-2019-9512)", cut: true, code: calm,
		step: func(a *attacker) { a.WritePing(false, [8]byte{}) },
	},
	{
		name: "PING flood, answers unread", cut: true, deaf: true,
		step: func(a *attacker) { a.WritePing(false, [8]byte{}) },
	},
	{
		name: "SETTINGS flood (CVE-2019-9515)", cut: true, code: calm,
		step: func(a *attacker) { a.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 70000}) },
	},
	{
		name: "SETTINGS flood, answers unread", cut: true, deaf: true,
		step: func(a *attacker) { a.WriteSettings() },
	},
	{
		name: "SETTINGS of many settings", cut: true, code: calm,
		step: func(a *attacker) {
			many := make([]http2.Setting, 1000)
			for i := range many {
				many[i] = http2.Setting{ID: http2.SettingInitialWindowSize, Val: uint32(1 << 20 * (i % 2))}
			}
			a.WriteSettings(many...)
		},
	},
	{
		name: "SETTINGS that shrink and grow the header table", cut: true, code: calm,
		step: func(a *attacker) {
			a.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, http2.Setting{ID: http2.SettingHeaderTableSize, Val: 4096})
		},
	},
	{
		name: "PRIORITY flood (CVE-2019-9513)", cut: true, code: calm,
		step: func(a *attacker) { a.WritePriority(1, http2.PriorityParam{StreamDep: 3, Weight: 1}) },
	},
	{
		name: "frames of unknown types", cut: true, code: calm,
		step: func(a *attacker) { a.WriteRawFrame(0x0a, 0, 0, nil); a.WriteRawFrame(0x0f, 0, 1, []byte("x")) },
	},
	{
		name: "empty DATA flood (CVE-2019-9518)", cut: true, code: calm,
		prepare: func(a *attacker) { a.open(a.request(duplexCall), false) },
		step:    func(a *attacker) { a.WriteData(1, false, nil) },
	},
	{
		name: "DATA of one byte", // within one message of 4 MiB after the other: slow, but progress
		prepare: func(a *attacker) {
			a.open(a.request(duplexCall), false)
			a.WriteData(1, false, message(make([]byte, 4<<20), false)[:5])
		},
		step: func(a *attacker) { a.WriteData(1, false, []byte{0}) },
	},
	{
		name: "padding alone", cut: true, code: calm,
		prepare: func(a *attacker) { a.open(a.request(duplexCall), false) },
		step:    func(a *attacker) { a.WriteDataPadded(1, false, nil, make([]byte, 255)) },
	},
	{
		name: "WINDOW_UPDATE by one byte", cut: true, code: calm,
		step: func(a *attacker) { a.WriteWindowUpdate(0, 1) },
	},
	{
		name: "header list beyond the limit", // each call fails, and that is all
		step: func(a *attacker) {
			a.open(a.request(emptyCall, hpack.HeaderField{Name: "x-large", Value: strings.Repeat("x", 30<<10), Sensitive: true}), true)
		},
	},
	{
		name: "HPACK bomb (CVE-2026-49975)",
		prepare: func(a *attacker) { // one entry of nearly the whole table
			a.open(a.request(emptyCall, hpack.HeaderField{Name: "x-bomb", Value: strings.Repeat("x", 3800)}), true)
		},
		step: func(a *attacker) { // and 16 000 references to it, a byte each
			block := bytes.Clone(a.request(emptyCall))
			a.open(append(block, bytes.Repeat([]byte{0x80 | 62}, 16000)...), true)
		},
	},
	{
		name: "table size updates flood", cut: true, code: http2.ErrCodeCompression,
		step: func(a *attacker) {
			block := bytes.Repeat([]byte{0x20}, 8000)
			a.open(append(block, a.request(emptyCall)...), true)
		},
	},
	{
		name: "zero windows (CVE-2019-9517)", settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}},
		prepare: func(a *attacker) { askForMuch(a, 300) },
		step:    func(*attacker) { time.Sleep(time.Millisecond) }, // the attack is to do nothing
		heap:    320,                                              // a message of each stream, as the handler's and as it is sent
	},
	{
		name: "windows of one byte (CVE-2019-9511)", settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}},
		prepare: func(a *attacker) { askForMuch(a, 100) },
		step: func(a *attacker) {
			a.WriteWindowUpdate(uint32(2*(a.next%100))+1, 1)
			a.next++
		},
		cut: true, code: calm, heap: 320,
	},
	{
		name: "answers unread",
		deaf: true, settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1}},
		prepare: func(a *attacker) { a.WriteWindowUpdate(0, 1<<30); askForMuch(a, 100) },
		step:    func(*attacker) { time.Sleep(time.Millisecond) },
		heap:    320,
	},
	{
		name: "compressed bomb",
		step: func(a *attacker) {
			before := a.answers.Load()
			id := a.open(a.request(emptyCall, hpack.HeaderField{Name: "grpc-encoding", Value: "gzip"}), false)
			for p := bomb(); len(p) > 0; {
				n := min(len(p), 16<<10)
				a.WriteData(id, n == len(p), p[:n])
				p = p[n:]
			}
			if a.w.Flush() != nil {
				return
			}
			for end := time.Now().Add(5 * time.Second); a.answers.Load() == before && time.Now().Before(end); {
				time.Sleep(time.Millisecond)
			}
		},
	},
	{
		name: "messages announced and never sent",
		step: func(a *attacker) {
			if a.next < 1000 {
				a.WriteData(a.open(a.request(duplexCall), false), false, message(make([]byte, 4<<20), false)[:5])
			} else {
				time.Sleep(time.Millisecond)
			}
		},
	},
	{
		name: "preface and nothing else", // of a crowd, again and again
		step: func(a *attacker) { time.Sleep(time.Millisecond) },
	},
}

// askForMuch opens streams whose answers are large.
func askForMuch(a *attacker, streams int) {
	p := &testpb.StreamingOutputCallRequest{}
	for range 1000 {
		p.ResponseParameters = append(p.ResponseParameters, &testpb.ResponseParameters{Size: 64 << 10})
	}
	b, _ := proto.Marshal(p)
	for range streams {
		a.WriteData(a.open(a.request(outputCall), false), true, message(b, false))
	}
}
