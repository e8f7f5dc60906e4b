package h2

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

func newDecoder(l Limits) *decoder {
	l = l.withDefaults()
	d := new(decoder)
	d.init(&l)
	return d
}

// randomFields are fields of which some come again and again.
func randomFields(r *rand.Rand) []Field {
	names := []string{":path", "content-type", "user-agent", "x-one", "x-two", "grpc-timeout", "authorization", strings.Repeat("n", 150)}
	fields := make([]Field, r.IntN(9))
	for i := range fields {
		f := Field{Name: names[r.IntN(len(names))]}
		switch r.IntN(4) {
		case 0:
			f.Value = strings.Repeat("v", r.IntN(3000))
		case 1:
			b := make([]byte, r.IntN(40))
			for i := range b {
				b[i] = byte(r.IntN(256))
			}
			f.Value = string(b)
		default:
			f.Value = []string{"", "a", "application/grpc", "a value that is met often"}[r.IntN(4)]
		}
		fields[i] = f
	}
	return fields
}

// TestDecodeOfOthers: what x/net's encoder makes, with tables that change their
// size, our decoder takes apart.
func TestDecodeOfOthers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		var buf bytes.Buffer
		enc := hpack.NewEncoder(&buf)
		dec := newDecoder(Limits{HeaderBytes: 1 << 20})
		for block := range 50 {
			if r.IntN(5) == 0 {
				enc.SetMaxDynamicTableSize(uint32(r.IntN(tableSize + 1)))
			}
			want := randomFields(r)
			for _, f := range want {
				if err := enc.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value, Sensitive: r.IntN(4) == 0}); err != nil {
					t.Fatal(err)
				}
			}
			got, over, err := dec.decode(buf.Bytes())
			if err != nil || over || !slices.Equal(got, want) {
				t.Fatalf("seed %d, block %d: got %q, %v, %v; want %q", seed, block, got, over, err, want)
			}
			buf.Reset()
		}
	}
}

// TestEncodeForOthers: what our encoder makes, from its own blocks and those
// that it remembers, x/net's decoder takes apart.
func TestEncodeForOthers(t *testing.T) {
	t.Parallel()
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 2))
		enc := encoder{max: tableSize}
		var heads headCache
		dec := hpack.NewDecoder(tableSize, nil)
		keys := map[string]Head{}
		var max uint32 = tableSize
		for block := range 80 {
			if r.IntN(20) == 0 {
				max = min(max, uint32(r.IntN(tableSize+1)))
				enc.setMax(max)
				dec.SetAllowedMaxDynamicTableSize(max)
			}
			key := string(rune('a' + r.IntN(20)))
			if keys[key] == nil {
				keys[key] = randomFields(r)
			}
			b := heads.appendHead(nil, &enc, key, func(k string) Head { return keys[k] })
			want := slices.Clone([]Field(keys[key]))
			for _, f := range randomFields(r) {
				b = enc.varying(b, f)
				want = append(want, f)
			}
			fields, err := dec.DecodeFull(b)
			if err != nil {
				t.Fatalf("seed %d, block %d: %v", seed, block, err)
			}
			got := make([]Field, len(fields))
			for i, f := range fields {
				got[i] = Field{f.Name, f.Value}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("seed %d, block %d: got %q, want %q", seed, block, got, want)
			}
		}
	}
}

// TestHeadBytes: a head that is known takes a byte a field.
func TestHeadBytes(t *testing.T) {
	t.Parallel()
	enc := encoder{max: tableSize}
	var heads headCache
	calls := 0
	head := func(string) Head {
		calls++
		return Head{{":method", "POST"}, {":path", "/a.B/C"}, {"te", "trailers"}}
	}
	heads.appendHead(nil, &enc, "k", head)
	second := heads.appendHead(nil, &enc, "k", head)
	third := heads.appendHead(nil, &enc, "k", head)
	if len(second) != 3 || !bytes.Equal(second, third) || calls != 2 {
		t.Errorf("got %x and %x after %d calls, want the same three bytes after 2", second, third, calls)
	}
	heads.appendHead(nil, &enc, "other", func(string) Head { return Head{{"x-new", "1"}} })
	if again := heads.appendHead(nil, &enc, "k", head); bytes.Equal(again, second) {
		t.Errorf("the bytes %x are still used after the table has moved", again)
	}
}

// TestDecodeLimits: what is over the limits is not kept, and the tables stay
// right.
func TestDecodeLimits(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		limits Limits
		fields []Field
		over   bool
	}{
		{"within", Limits{HeaderBytes: 100}, []Field{{"a", "b"}, {"c", "d"}}, false},
		{"bytes", Limits{HeaderBytes: 100}, []Field{{"a", strings.Repeat("x", 80)}}, true},
		{"references", Limits{HeaderBytes: 100}, []Field{{"a", "b"}, {"a", "b"}, {"a", "b"}}, true},
		{"number", Limits{HeaderFields: 2}, []Field{{"a", ""}, {"b", ""}, {"c", ""}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var buf bytes.Buffer
			enc := hpack.NewEncoder(&buf)
			dec := newDecoder(tt.limits)
			for _, f := range tt.fields {
				enc.WriteField(hpack.HeaderField{Name: f.Name, Value: f.Value})
			}
			_, over, err := dec.decode(buf.Bytes())
			if err != nil || over != tt.over {
				t.Fatalf("over %v, %v; want %v", over, err, tt.over)
			}
			buf.Reset()
			last := tt.fields[len(tt.fields)-1]
			enc.WriteField(hpack.HeaderField{Name: last.Name, Value: last.Value})
			got, _, err := dec.decode(buf.Bytes())
			if err != nil || tt.name != "bytes" && !slices.Equal(got, []Field{last}) {
				t.Errorf("the next block gives %q, %v; want %q", got, err, last)
			}
		})
	}
}

// TestDecodeMalformed: what is no header block is an error, and no more.
func TestDecodeMalformed(t *testing.T) {
	t.Parallel()
	for name, block := range map[string]string{
		"index 0":                        "\x80",
		"index beyond the tables":        "\xbe",
		"integer of many bytes":          "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"integer of six bytes and small": "\x04\x7f\x81\x80\x80\x80\x80\x00" + strings.Repeat("x", 128),
		"integer cut off":                "\xff\x80",
		"name beyond the tables":         "\x7f\x00\x00",
		"string longer than the block":   "\x00\x05abc",
		"no value":                       "\x00\x01a",
		"bad Huffman code":               "\x00\x81\xff\x01a",
		"size after a field":             "\x88\x20",
		"size beyond ours":               "\x3f\xe2\x1f",
	} {
		if _, _, err := newDecoder(Limits{}).decode([]byte(block)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("\x82\x86\x84\x41\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff"))
	f.Add([]byte("\x3f\xe1\x1f\x40\x01a\x01b\xbe"))
	f.Add([]byte("A\x00A\x00A\x00A\x00?0000000"))
	f.Fuzz(func(t *testing.T, b []byte) {
		ours := newDecoder(Limits{HeaderBytes: 1 << 20, HeaderFields: 1 << 20})
		theirs := hpack.NewDecoder(tableSize, nil)
		half := len(b) / 2
		for _, block := range [][]byte{b[:half], b[half:]} {
			want, werr := theirs.DecodeFull(block)
			got, _, err := ours.decode(block)
			if err == nil && werr != nil && strings.Contains(werr.Error(), "at the beginning of a header block") {
				return // RFC 7541 allows two updates of the table's size there, x/net one
			}
			if err == nil && werr != nil {
				t.Fatalf("%x: decoded to %q; x/net says %v", block, got, werr)
			}
			if err != nil {
				return // we are stricter with integers
			}
			if len(got) != len(want) {
				t.Fatalf("%x: got %q, want %q", block, got, want)
			}
			for i := range got {
				if got[i].Name != want[i].Name || got[i].Value != want[i].Value {
					t.Fatalf("%x: got %q, want %q", block, got, want)
				}
			}
		}
	})
}
