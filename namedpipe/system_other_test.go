//go:build !windows

package namedpipe_test

import (
	"os"
	"testing"
)

func isWine() bool { return false }

// openHandles is the number of files this process has open.
func openHandles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/dev/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
