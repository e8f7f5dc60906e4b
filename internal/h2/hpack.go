package h2

import "strings"

// A Field is a field of a header list.
type Field struct{ Name, Value string }

// size is what the field counts for in a table and in a list (RFC 7541, 4.1).
func (f Field) size() uint32 { return uint32(len(f.Name) + len(f.Value) + 32) }

// tableSize is the largest dynamic table that we keep or ask a peer to keep. It
// is the protocol's default, so no setting says it.
const tableSize = 4096

const staticLen = 61

// static is the static table (RFC 7541, appendix A); index 0 is no entry.
var static = [staticLen + 1]Field{
	{}, {":authority", ""}, {":method", "GET"}, {":method", "POST"}, {":path", "/"},
	{":path", "/index.html"}, {":scheme", "http"}, {":scheme", "https"}, {":status", "200"},
	{":status", "204"}, {":status", "206"}, {":status", "304"}, {":status", "400"},
	{":status", "404"}, {":status", "500"}, {"accept-charset", ""},
	{"accept-encoding", "gzip, deflate"}, {"accept-language", ""}, {"accept-ranges", ""},
	{"accept", ""}, {"access-control-allow-origin", ""}, {"age", ""}, {"allow", ""},
	{"authorization", ""}, {"cache-control", ""}, {"content-disposition", ""},
	{"content-encoding", ""}, {"content-language", ""}, {"content-length", ""},
	{"content-location", ""}, {"content-range", ""}, {"content-type", ""}, {"cookie", ""},
	{"date", ""}, {"etag", ""}, {"expect", ""}, {"expires", ""}, {"from", ""}, {"host", ""},
	{"if-match", ""}, {"if-modified-since", ""}, {"if-none-match", ""}, {"if-range", ""},
	{"if-unmodified-since", ""}, {"last-modified", ""}, {"link", ""}, {"location", ""},
	{"max-forwards", ""}, {"proxy-authenticate", ""}, {"proxy-authorization", ""},
	{"range", ""}, {"referer", ""}, {"refresh", ""}, {"retry-after", ""}, {"server", ""},
	{"set-cookie", ""}, {"strict-transport-security", ""}, {"transfer-encoding", ""},
	{"user-agent", ""}, {"vary", ""}, {"via", ""}, {"www-authenticate", ""},
}

// staticIndex finds fields and names in the static table.
var staticIndex = func() map[Field]uint64 {
	m := map[Field]uint64{}
	for i := staticLen; i >= 1; i-- {
		f := static[i]
		m[f] = uint64(i)
		m[Field{Name: f.Name}] = uint64(i)
	}
	return m
}()

// sensitive reports whether a field must never enter a table, at us or at any
// hop.
func sensitive(name string) bool {
	return name == "authorization" || name == "cookie" || strings.HasSuffix(name, "-token")
}

// appendInt appends an integer with a prefix of n bits, under the bits given.
func appendInt(dst []byte, bits byte, n uint, v uint64) []byte {
	limit := uint64(1)<<n - 1
	if v < limit {
		return append(dst, bits|byte(v))
	}
	dst = append(dst, bits|byte(limit))
	for v -= limit; v >= 128; v >>= 7 {
		dst = append(dst, byte(v)|0x80)
	}
	return append(dst, byte(v))
}

// appendString appends a string without Huffman's code: within a machine bytes
// cost less than bits.
func appendString(dst []byte, s string) []byte {
	dst = appendInt(dst, 0, 7, uint64(len(s)))
	return append(dst, s...)
}
