package load

import (
	"math"
	"testing"
)

// The calls of each second are as many as the rate says.
func TestRate(t *testing.T) {
	for _, tt := range []struct {
		rate Rate
		want []int // calls begun in each second: two of warm-up, four that count
	}{
		{Rate{From: 10}, []int{10, 10, 10, 10, 10, 10}},
		{Rate{From: 10, To: 50}, []int{10, 10, 15, 25, 35, 45}},
		{Rate{From: 50, To: 10}, []int{50, 50, 45, 35, 25, 15}},
		{Rate{From: 10, To: 40, Steps: 4}, []int{10, 10, 10, 20, 30, 40}},
		{Rate{From: 40, To: 20, Steps: 2}, []int{40, 40, 40, 40, 20, 20}},
	} {
		got := make([]int, 6)
		last := 0.0
		for n := range 10000 {
			at := tt.rate.due(float64(n), 2, 4)
			if at < last || math.IsNaN(at) {
				t.Fatalf("%+v: call %d begins at %v, after %v", tt.rate, n, at, last)
			}
			if last = at; at < 6-1e-9 {
				got[int(at+1e-9)]++
			}
		}
		for i, want := range tt.want {
			if d := got[i] - want; d < -1 || d > 1 {
				t.Errorf("%+v: %v, want %v", tt.rate, got, tt.want)
				break
			}
		}
	}
}
