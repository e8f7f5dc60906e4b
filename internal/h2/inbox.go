package h2

import "github.com/grpcpipe/grpcpipe/internal/bufpool"

const prefixLen = 5 // of a message: compressed or not, length

const (
	// wholeChunk is from what size a message that ends its buffer is handed over
	// with the buffer.
	wholeChunk = 8 << 10
	// leastDirect is how much of a message must be missing for it to be read from
	// the carrier to where it ends up.
	leastDirect = 8 << 10
)

// An inbox holds what has come of a stream's messages.
type inbox struct {
	ready []batch // whole messages, oldest first; then come those of buf
	own   *[]byte
	buf   []byte // messages with their prefixes, read up to r
	r     int
	edge  int // end of the last whole message in buf
	next  int // bytes of the message behind edge, with its prefix; 0 if not known
	// tooLarge says that the message behind edge is larger than allowed, next
	// being its size. Nothing is kept from there on.
	tooLarge bool
	// filling says that the reader is reading into buf's free room without the
	// stream's lock. There is no whole message in buf then.
	filling bool
}

// whole reports whether there is a whole message.
func (in *inbox) whole() bool { return len(in.ready) > 0 || in.edge > in.r }

// partial reports whether there is a part of a message.
func (in *inbox) partial() bool { return len(in.buf) > in.edge }

// add takes bytes in.
func (in *inbox) add(p []byte, maxMessage int) {
	for len(p) > 0 && !in.tooLarge {
		n := len(p)
		if in.next > 0 {
			n = min(n, in.next-(len(in.buf)-in.edge))
		}
		in.reserve(n)
		in.buf = append(in.buf, p[:n]...)
		p = p[n:]
		in.scan(maxMessage)
	}
}

// scan looks for the ends of messages.
func (in *inbox) scan(maxMessage int) {
	for {
		have := len(in.buf) - in.edge
		if in.next == 0 {
			if have < prefixLen {
				return
			}
			h := in.buf[in.edge:]
			n := int(h[1])<<24 | int(h[2])<<16 | int(h[3])<<8 | int(h[4])
			if n > maxMessage {
				in.tooLarge, in.next = true, n
				in.buf = in.buf[:in.edge]
				return
			}
			in.next = prefixLen + n
		}
		if have < in.next {
			return
		}
		large := in.next >= wholeChunk
		in.edge += in.next
		in.next = 0
		if large && in.edge == len(in.buf) {
			in.ready = append(in.ready, batch{in.own, in.buf[in.r:]})
			in.own, in.buf, in.r, in.edge = nil, nil, 0, 0
			return
		}
	}
}

// direct returns where the next bytes of a message under way may be read to
// without the stream's lock, at most n, or nil if that isn't worth it. The caller
// is the reader, and goes on with filled.
func (in *inbox) direct(n int) []byte {
	have := len(in.buf) - in.edge
	missing := min(n, in.next-have)
	if in.next == 0 || in.tooLarge || missing < leastDirect || in.edge > in.r {
		return nil
	}
	in.reserve(missing)
	if in.r > 0 { // what was read before it
		in.buf = in.buf[:copy(in.buf, in.buf[in.r:])]
		in.edge -= in.r
		in.r = 0
	}
	in.filling = true
	free := in.buf[len(in.buf):cap(in.buf)]
	return free[:min(missing, len(free))]
}

// reserve makes room for n more bytes, and for the whole message under way as
// far as the peer has earned it by sending.
func (in *inbox) reserve(n int) {
	if cap(in.buf)-len(in.buf) >= n {
		return
	}
	live := len(in.buf) - in.r
	size := live + n
	if in.next > 0 {
		size = max(size, min(in.edge-in.r+in.next, 4*(live+n)+64<<10))
	}
	if size <= cap(in.buf) && in.r >= live {
		copy(in.buf, in.buf[in.r:])
	} else {
		own := bufpool.Shared.Get(max(size, 2*live))
		copy(*own, in.buf[in.r:])
		if in.own != nil {
			bufpool.Shared.Put(in.own)
		}
		in.own, in.buf = own, *own
	}
	in.buf = in.buf[:live]
	in.edge -= in.r
	in.r = 0
}

// free gives up everything.
func (in *inbox) free() {
	if in.own != nil && !in.filling { // else the collector's
		bufpool.Shared.Put(in.own)
	}
	for i := range in.ready {
		in.ready[i].free()
	}
	*in = inbox{ready: in.ready[:0]}
}

// A batch holds whole messages.
type batch struct {
	own *[]byte
	buf []byte
}

func (b *batch) free() {
	if b.own != nil {
		bufpool.Shared.Put(b.own)
	}
	*b = batch{}
}

// take moves whole messages to the batch, which is empty, with as little copying
// as possible. It returns how many bytes those are.
func (in *inbox) take(b *batch) int {
	if len(in.ready) > 0 {
		*b = in.ready[0]
		in.ready = append(in.ready[:0], in.ready[1:]...)
		return len(b.buf)
	}
	whole, rest := in.buf[in.r:in.edge], in.buf[in.edge:]
	n := len(whole)
	if n >= len(rest) {
		b.own, b.buf = in.own, whole
		in.own, in.buf = nil, nil
		if len(rest) > 0 {
			own := bufpool.Shared.Get(max(len(rest), min(in.next, 4*len(rest)+64<<10)))
			in.own, in.buf = own, (*own)[:copy(*own, rest)]
		}
		in.r, in.edge = 0, 0
		return n
	}
	b.own = bufpool.Shared.Get(n)
	b.buf = append((*b.own)[:0], whole...)
	in.r = in.edge
	return n
}
