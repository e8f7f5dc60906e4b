package h2

// An encoder makes header blocks. It puts nothing but constants into the peer's
// table and never evicts one, so an entry's index changes only by insertions. Its
// owner keeps the bytes of whole blocks, each of which holds for one generation.
//
// A block that inserts must be sent, even if its call has died meanwhile: the
// peer's table would differ from ours otherwise.
type encoder struct {
	entries []Field // in the order of insertion
	size    uint32
	max     uint32
	// gen changes whenever an index does.
	gen uint32
	// resize says that the next block begins with the table's new size.
	resize bool
}

// setMax takes the peer's SETTINGS_HEADER_TABLE_SIZE. A table that shrinks is
// emptied; one that could grow stays as it is.
func (e *encoder) setMax(n uint32) {
	if n >= e.max {
		return
	}
	e.entries, e.size, e.max, e.resize = nil, 0, n, true
	e.gen++
}

// begin appends what must precede the fields of a block.
func (e *encoder) begin(dst []byte) []byte {
	if e.resize {
		e.resize = false
		dst = append(dst, 0x20) // to nothing, which evicts all
		if e.max > 0 {
			dst = appendInt(dst, 0x20, 5, uint64(e.max))
		}
	}
	return dst
}

// constant appends a field that will come again as it is. The peer remembers it
// if there is room.
func (e *encoder) constant(dst []byte, f Field) []byte {
	i := staticIndex[f]
	if i > 0 && f.Value != "" {
		return appendInt(dst, 0x80, 7, i)
	}
	for k, have := range e.entries {
		if have == f {
			return appendInt(dst, 0x80, 7, uint64(staticLen+len(e.entries)-k))
		}
	}
	if e.size+f.size() > e.max {
		return e.varying(dst, f)
	}
	dst = appendNamed(dst, 0x40, 6, f)
	e.entries = append(e.entries, f)
	e.size += f.size()
	e.gen++
	return dst
}

// varying appends a field that no table is to remember.
func (e *encoder) varying(dst []byte, f Field) []byte {
	if sensitive(f.Name) {
		return appendNamed(dst, 0x10, 4, f)
	}
	return appendNamed(dst, 0, 4, f)
}

// appendNamed appends a literal field under the bits given, by the name's index
// if the static table has it.
func appendNamed(dst []byte, bits byte, n uint, f Field) []byte {
	i := staticIndex[Field{Name: f.Name}]
	dst = appendInt(dst, bits, n, i)
	if i == 0 {
		dst = appendString(dst, f.Name)
	}
	return appendString(dst, f.Value)
}

// A Head is the constant part of a header list: fields that many calls share.
// It belongs to one direction of any number of connections, which keep its bytes.
// It must not be changed.
type Head []Field

// A headCache holds the bytes of heads for one generation of an encoder.
type headCache struct {
	gen    uint32
	blocks map[string]string
}

// maxHeads bounds how many heads a connection remembers.
const maxHeads = 256

// appendHead appends a head's fields. key names the head among those of the
// connection.
func (c *headCache) appendHead(dst []byte, e *encoder, key string, head func(key string) Head) []byte {
	if c.gen == e.gen && !e.resize {
		if b, ok := c.blocks[key]; ok {
			return append(dst, b...)
		}
	}
	dst = e.begin(dst)
	start, before := len(dst), e.gen
	for _, f := range head(key) {
		dst = e.constant(dst, f)
	}
	if c.gen != e.gen || c.blocks == nil || len(c.blocks) >= maxHeads {
		c.gen, c.blocks = e.gen, map[string]string{}
	}
	if before == e.gen { // nothing was inserted, so the same bytes serve again
		c.blocks[key] = string(dst[start:])
	}
	return dst
}
