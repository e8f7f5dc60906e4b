package main

import (
	"math/bits"
	"sync"
)

// dirtyPool is a grpc buffer pool for a whole program, by powers of two from
// 256 B to 16 MiB. It doesn't clear buffers: callers write them before they read
// them.
type dirtyPool struct{}

const (
	leastBits = 8
	mostBits  = 24
)

var sized [mostBits + 1]sync.Pool

func (dirtyPool) Get(n int) *[]byte {
	class := max(bits.Len(uint(max(n, 1)-1)), leastBits)
	if class > mostBits {
		b := make([]byte, n)
		return &b
	}
	if b, ok := sized[class].Get().(*[]byte); ok {
		*b = (*b)[:n]
		return b
	}
	b := make([]byte, n, 1<<class)
	return &b
}

func (dirtyPool) Put(b *[]byte) {
	class := bits.Len(uint(cap(*b))) - 1
	if class >= leastBits && class <= mostBits {
		sized[class].Put(b)
	}
}
