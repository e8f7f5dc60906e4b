package bufpool

import (
	"testing"
	"testing/synctest"
	"time"
)

// testSize is a class of its own in all tests below.
const testSize = 64 << 10

func TestBufferPoolReuses(t *testing.T) {
	p := new(Pool)
	a := p.Get(testSize - 100)
	if len(*a) != testSize-100 || cap(*a) != testSize {
		t.Fatalf("a buffer of %d bytes has %d of %d", testSize-100, len(*a), cap(*a))
	}
	p.Put(a)
	if b := p.Get(testSize); b != a || len(*b) != testSize {
		t.Errorf("a buffer that was given back isn't used again, or has %d bytes", len(*b))
	}
	if b := p.Get(testSize); b == a {
		t.Error("a buffer is in use twice")
	}
	for _, n := range []int{0, 1, 1<<maxPooledBits + 1} {
		b := p.Get(n)
		if len(*b) != n {
			t.Errorf("Get(%d) has %d bytes", n, len(*b))
		}
		p.Put(b)
	}
	foreign := make([]byte, 100)
	p.Put(&foreign) // too small for any class
}

// TestBufferPoolBound: what is over the bound is left to the collector.
func TestBufferPoolBound(t *testing.T) {
	p := new(Pool)
	for range 2 * maxKept / testSize {
		b := make([]byte, testSize)
		p.Put(&b)
	}
	p.mu.Lock() // against the timer
	defer p.mu.Unlock()
	if p.kept != maxKept || len(p.sizes[16].free) != maxKept/testSize {
		t.Errorf("%d bytes are kept in %d buffers, want %d", p.kept, len(p.sizes[16].free), maxKept)
	}
}

// TestBufferPoolDrops: buffers that are not used are given up after keepFor to
// twice that, those in use stay, and an idle pool keeps nothing and has no timer.
func TestBufferPoolDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := new(Pool)
		kept := func() int { p.mu.Lock(); defer p.mu.Unlock(); return p.kept / testSize }
		var all []*[]byte
		for range 3 {
			all = append(all, p.Get(testSize))
		}
		for _, b := range all {
			p.Put(b)
		}
		for round := range 10 {
			for range 4 {
				<-time.After(keepFor / 4)
				p.Put(p.Get(testSize))
			}
			synctest.Wait()
			if n := kept(); round > 2 && n != 1 {
				t.Fatalf("round %d: %d buffers are kept and one is used", round, n)
			}
		}
		<-time.After(3 * keepFor)
		synctest.Wait()
		if n := kept(); n != 0 || p.timed {
			t.Errorf("an idle pool keeps %d buffers; its timer runs: %v", n, p.timed)
		}
	})
}
