package h2

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"testing"
	"time"
)

// A writes is a connection that keeps what is written, one by one.
type writes struct {
	net.Conn
	all   [][]byte
	limit int // writes before it fails
}

var errFull = errors.New("full")

func (w *writes) SetWriteDeadline(time.Time) error { return nil }

func (w *writes) Write(b []byte) (int, error) {
	if len(w.all) == w.limit {
		return 0, errFull
	}
	w.all = append(w.all, bytes.Clone(b))
	return len(b), nil
}

// TestGather: what a carrier without TryWrite writes, and in how many writes.
func TestGather(t *testing.T) {
	for _, tt := range []struct {
		pieces []int
		writes []int
	}{
		{nil, nil},
		{[]int{9}, []int{9}},
		{[]int{9, 100, 30}, []int{139}},
		{[]int{9, 65541, 40}, []int{65590}},
		{[]int{9, gather, 40}, []int{gather, 49}},
		{[]int{gather}, []int{gather}},
		{[]int{2*gather + 5}, []int{gather, gather, 5}},
		{[]int{9, 3 * gather}, []int{gather, gather, gather, 9}},
		{[]int{2 * gather, 9, 5}, []int{gather, gather, 14}},
		{[]int{9, gather - 9, 5}, []int{gather, 5}},
		{[]int{0, 9, 0}, []int{9}},
	} {
		var pieces [][]byte
		var want []byte
		for i, n := range tt.pieces {
			b := make([]byte, n)
			for j := range b {
				b[j] = byte(i*31 + j*7)
			}
			pieces = append(pieces, b)
			want = append(want, b...)
		}
		w := &writes{limit: 10}
		if err := (&plainCarrier{w}).Write(pieces, time.Second); err != nil {
			t.Errorf("%d: %v", tt.pieces, err)
		}
		var sizes []int
		for _, b := range w.all {
			sizes = append(sizes, len(b))
		}
		if !slices.Equal(sizes, tt.writes) || !bytes.Equal(slices.Concat(w.all...), want) {
			t.Errorf("%d: written as %d, want %d, with the same bytes", tt.pieces, sizes, tt.writes)
		}
		for n := range tt.writes {
			if err := (&plainCarrier{&writes{limit: n}}).Write(pieces, time.Second); err != errFull {
				t.Errorf("%d, where write %d fails: %v", tt.pieces, n, err)
			}
		}
	}
}
