package inspect

import (
	"slices"
	"strings"
)

// Nearest returns up to max of the names that resemble a misspelled name, the
// most similar first.
func Nearest(name string, names []string, max int) []string {
	type candidate struct {
		name string
		far  int
	}
	var near []candidate
	folded := strings.ToLower(name)
	for _, n := range names {
		far := distance(folded, strings.ToLower(n))
		if strings.Contains(strings.ToLower(n), folded) && len(folded) > 2 {
			far = min(far, 2)
		}
		if n != name && far <= 1+len(name)/4 {
			near = append(near, candidate{n, far})
		}
	}
	slices.SortStableFunc(near, func(a, b candidate) int {
		if a.far != b.far {
			return a.far - b.far
		}
		return strings.Compare(a.name, b.name)
	})
	var found []string
	for _, c := range near[:min(len(near), max)] {
		found = append(found, c.name)
	}
	return found
}

// distance returns how many letters must be inserted, deleted, replaced or
// swapped with a neighbor to turn a into b. Long names are cut: this is for
// typing errors.
func distance(a, b string) int {
	const most = 128
	x, y := []rune(a), []rune(b)
	x, y = x[:min(len(x), most)], y[:min(len(y), most)]
	before, last, now := make([]int, len(y)+1), make([]int, len(y)+1), make([]int, len(y)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(x); i++ {
		now[0] = i
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			now[j] = min(last[j]+1, now[j-1]+1, last[j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				now[j] = min(now[j], before[j-2]+1)
			}
		}
		before, last, now = last, now, before
	}
	return last[len(y)]
}
