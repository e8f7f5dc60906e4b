// Package bufpool recycles byte buffers, without clearing them, for the
// library's connections and messages.
package bufpool

import (
	"math/bits"
	"sync"
	"time"
)

// Shared is the pool of the whole process.
var Shared = new(Pool)

const (
	minPooledBits = 8
	maxPooledBits = 24
	// maxKept is the greatest number of bytes that the pool keeps: what one
	// stream may have under way.
	maxKept = 8 << 20
	// keepFor is the shortest time that an unused buffer is kept; the longest
	// is twice that.
	keepFor = time.Second
)

// A Pool hands out buffers without clearing them: users overwrite what they
// read. It serves as grpc's mem.BufferPool. Sizes are powers of two; larger
// buffers are always new.
//
// A sync.Pool alone is not enough because the garbage collector empties it. A
// process that moves 64 KiB messages and has a small heap is collected a
// hundred times a second, since each message becomes garbage. Most of its
// buffers would then be new ones, which means even more garbage. So the pool
// keeps up to maxKept bytes until they have not been used for a while, and
// leaves only the rest to the collector.
type Pool struct {
	mu    sync.Mutex
	sizes [maxPooledBits + 1]bufferStack
	kept  int  // bytes of all stacks
	timed bool // drop will be called
}

// A bufferStack holds the buffers of one size.
type bufferStack struct {
	free   []*[]byte
	unused int       // the smallest length of free since the last drop
	rest   sync.Pool // what was over maxKept
}

// Get returns a buffer of n bytes with any content.
func (p *Pool) Get(n int) *[]byte {
	class := max(bits.Len(uint(max(n, 1)-1)), minPooledBits)
	if class > maxPooledBits {
		b := make([]byte, n)
		return &b
	}
	b := p.take(class)
	if b == nil {
		b, _ = p.sizes[class].rest.Get().(*[]byte)
	}
	if b != nil {
		*b = (*b)[:n]
		return b
	}
	fresh := make([]byte, n, 1<<class)
	return &fresh
}

func (p *Pool) take(class int) *[]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.sizes[class]
	last := len(s.free) - 1
	if last < 0 {
		return nil
	}
	b := s.free[last]
	s.free[last] = nil
	s.free = s.free[:last]
	s.unused = min(s.unused, last)
	p.kept -= 1 << class
	return b
}

// Put takes a buffer back, whoever made it.
func (p *Pool) Put(b *[]byte) {
	class := bits.Len(uint(cap(*b))) - 1
	if class < minPooledBits || class > maxPooledBits {
		return
	}
	if !p.keep(class, b) {
		p.sizes[class].rest.Put(b)
	}
}

func (p *Pool) keep(class int, b *[]byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.kept+1<<class > maxKept {
		return false
	}
	p.sizes[class].free = append(p.sizes[class].free, b)
	p.kept += 1 << class
	if !p.timed {
		p.timed = true
		time.AfterFunc(keepFor, p.drop)
	}
	return true
}

// drop releases the buffers that were not needed since the last drop, until
// none is left.
func (p *Pool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for class := range p.sizes {
		s := &p.sizes[class]
		p.kept -= s.unused << class
		rest := copy(s.free, s.free[s.unused:])
		clear(s.free[rest:])
		s.free, s.unused = s.free[:rest], rest
		if rest == 0 {
			s.free = nil
		}
	}
	if p.timed = p.kept > 0; p.timed {
		time.AfterFunc(keepFor, p.drop)
	}
}
