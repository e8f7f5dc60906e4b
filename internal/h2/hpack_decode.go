package h2

import (
	"bytes"
	"errors"
	"hash/maphash"

	"golang.org/x/net/http2/hpack"
)

// errBlock is a header block that can't be decoded. The peers' tables differ
// from then on, so it ends the connection (RFC 9113, 4.3).
var errBlock = errors.New("malformed header block")

// A decoder takes header blocks apart. What it returns is valid until the next
// block; the strings are valid for ever.
type decoder struct {
	maxFields int
	maxBytes  uint32 // of a list, each reference to a table counting in full

	entries []Field // in the order of insertion, from first
	first   int
	size    uint32
	max     uint32 // what the peer has set, at most tableSize

	fields []Field
	bytes  uint32
	over   bool // the list is over a limit; what came after is not in fields
	bad    bool // a name in the list can't be one
	taint  bool // such a name may be in the table

	seed   maphash.Seed
	intern []internEntry // nil until the first literal
	huff   bytes.Buffer
}

// An internEntry is a literal that was met, as it came over the wire: most are
// met again.
type internEntry struct{ raw, value string }

const (
	internSize = 64
	// maxIntern is the longest literal that is remembered, in bytes.
	maxIntern = 128
)

func (d *decoder) init(l *Limits) {
	d.maxFields, d.maxBytes, d.max = l.HeaderFields, l.HeaderBytes, tableSize
	d.seed = maphash.MakeSeed()
}

// decode returns a block's fields, and whether the list is over the limits and
// so not whole.
func (d *decoder) decode(b []byte) (fields []Field, over bool, err error) {
	d.fields, d.bytes, d.over, d.bad = d.fields[:0], 0, false, false
	for started := false; len(b) > 0; {
		switch c := b[0]; {
		case c&0x80 != 0: // indexed
			var i uint64
			if i, b, err = readInt(b, 7); err != nil {
				return nil, false, err
			}
			f, ok := d.at(i)
			if !ok {
				return nil, false, errBlock
			}
			d.bad = d.bad || d.taint && !validName(f.Name)
			d.add(f)
			started = true
		case c&0xe0 == 0x20: // a new size for the table
			if started {
				return nil, false, errBlock
			}
			var n uint64
			if n, b, err = readInt(b, 5); err != nil {
				return nil, false, err
			}
			if n > tableSize {
				return nil, false, errBlock
			}
			d.max = uint32(n)
			d.evict(0)
		default:
			if b, err = d.literal(b); err != nil {
				return nil, false, err
			}
			started = true
		}
	}
	return d.fields, d.over, nil
}

// literal decodes a field that isn't in a table whole.
func (d *decoder) literal(b []byte) ([]byte, error) {
	prefix, keep := uint(4), false
	if b[0]&0x40 != 0 {
		prefix, keep = 6, true
	}
	i, b, err := readInt(b, prefix)
	if err != nil {
		return nil, err
	}
	var f Field
	if i == 0 {
		if f.Name, b, err = d.str(b, keep); err != nil {
			return nil, err
		}
		if !validName(f.Name) {
			d.bad = true
			d.taint = d.taint || keep
		}
	} else {
		named, ok := d.at(i)
		if !ok {
			return nil, errBlock
		}
		f.Name = named.Name
		d.bad = d.bad || d.taint && !validName(f.Name)
	}
	if f.Value, b, err = d.str(b, keep); err != nil {
		return nil, err
	}
	if keep {
		d.insert(f)
	}
	d.add(f)
	return b, nil
}

// validName reports whether a field may have the name (RFC 9113, 8.2.1).
func validName(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || c >= 'A' && c <= 'Z' || c == ':' && i > 0 {
			return false
		}
	}
	return len(name) > 0
}

// add puts a field on the list, and charges it even if it costs us nothing: a
// byte that refers to a large field is how a small block makes a large list.
func (d *decoder) add(f Field) {
	d.bytes += f.size()
	if d.bytes > d.maxBytes || len(d.fields) >= d.maxFields {
		d.over = true
		d.bytes = d.maxBytes // never wraps round
		return
	}
	d.fields = append(d.fields, f)
}

func (d *decoder) at(i uint64) (Field, bool) {
	if i == 0 {
		return Field{}, false
	}
	if i <= staticLen {
		return static[i], true
	}
	i -= staticLen
	if i > uint64(len(d.entries)-d.first) {
		return Field{}, false
	}
	return d.entries[len(d.entries)-int(i)], true
}

func (d *decoder) insert(f Field) {
	n := f.size()
	d.evict(n)
	if n > d.max {
		return // an entry larger than the table empties it (RFC 7541, 4.4)
	}
	d.size += n
	d.entries = append(d.entries, f)
}

// evict makes room for n bytes.
func (d *decoder) evict(n uint32) {
	for d.first < len(d.entries) && d.size+n > d.max {
		d.size -= d.entries[d.first].size()
		d.entries[d.first] = Field{}
		d.first++
	}
	if d.first > len(d.entries)/2 && d.first > 16 || d.first == len(d.entries) {
		rest := copy(d.entries, d.entries[d.first:])
		clear(d.entries[rest:])
		d.entries, d.first = d.entries[:rest], 0
	}
}

// str decodes a string literal. What goes into the table will come again as an
// index; other strings are remembered here.
func (d *decoder) str(b []byte, kept bool) (string, []byte, error) {
	if len(b) == 0 {
		return "", nil, errBlock
	}
	coded := b[0]&0x80 != 0
	start := b
	n, b, err := readInt(b, 7)
	if err != nil {
		return "", nil, err
	}
	if n > uint64(len(b)) {
		return "", nil, errBlock
	}
	raw, rest := b[:n], b[n:]
	if kept || len(raw) > maxIntern {
		s, err := d.plain(raw, coded)
		return s, rest, err
	}
	// The length is part of the key, for its first bit says how to read the rest.
	key := start[:len(start)-len(rest)]
	if d.intern == nil {
		d.intern = make([]internEntry, internSize)
	}
	e := &d.intern[maphash.Bytes(d.seed, key)%internSize]
	if e.raw == string(key) {
		return e.value, rest, nil
	}
	s, err := d.plain(raw, coded)
	if err != nil {
		return "", nil, err
	}
	*e = internEntry{raw: string(key), value: s}
	return s, rest, nil
}

func (d *decoder) plain(raw []byte, coded bool) (string, error) {
	if !coded {
		return string(raw), nil
	}
	d.huff.Reset()
	if _, err := hpack.HuffmanDecode(&d.huff, raw); err != nil {
		return "", errBlock
	}
	s := d.huff.String()
	if d.huff.Cap() > 4096 {
		d.huff = bytes.Buffer{}
	}
	return s, nil
}

// readInt decodes an integer with a prefix of n bits. Five more bytes are more
// than any integer here needs.
func readInt(b []byte, n uint) (uint64, []byte, error) {
	limit := uint64(1)<<n - 1
	v := uint64(b[0]) & limit
	b = b[1:]
	if v < limit {
		return v, b, nil
	}
	for shift := uint(0); shift < 35; shift += 7 {
		if len(b) == 0 {
			return 0, nil, errBlock
		}
		c := b[0]
		b = b[1:]
		v += uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return v, b, nil
		}
	}
	return 0, nil, errBlock
}
