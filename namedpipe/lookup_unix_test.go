//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"testing"
	"time"
)

// TestUnknownUser: that a user has no name is remembered as well, for a while.
func TestUnknownUser(t *testing.T) {
	const uid = 2_000_000_007
	for range 2 {
		if a := userOf(uid); a.Name != "" || a.ID != "2000000007" {
			t.Fatalf("a user that there is not: %+v", a)
		}
		known, ok := names.Load(uid)
		if n, _ := known.(userName); !ok || n.name != "" || time.Until(n.until) < time.Second {
			t.Fatalf("remembered: %+v", known)
		}
		// What is remembered is what is told, until it is too old.
		names.Store(uid, userName{name: "kept", until: time.Now().Add(time.Hour)})
		if a := userOf(uid); a.Name != "kept" {
			t.Errorf("looked again at once: %+v", a)
		}
		names.Store(uid, userName{name: "kept", until: time.Now().Add(-time.Second)})
	}
	names.Delete(uid)
}
