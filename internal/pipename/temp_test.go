package pipename

import "testing"

func TestTemp(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		name := Temp()
		if !IsTemp(name) || len(name) != 13 {
			t.Fatalf("made %q", name)
		}
		seen[name] = true
	}
	if len(seen) < 999 {
		t.Errorf("%d names of 1000 differ", len(seen))
	}
	for _, name := range []string{"", ".npm", ".npipe", ".npipe12345678", "x.npipe1234567", ".npipe123456A"} {
		if IsTemp(name) {
			t.Errorf("%q would be taken for a temporary name", name)
		}
	}
}

func TestCutTemp(t *testing.T) {
	for bound, want := range map[string]string{
		"/tmp/.npipe0abcxyz/CoreFxPipe_a": "/tmp/CoreFxPipe_a",
		"/.npipe0abcxyz/s":                "/s",
		"/tmp/CoreFxPipe_a":               "/tmp/CoreFxPipe_a",
		"/tmp/.npipe0abcxyz":              "/tmp/.npipe0abcxyz",
		"/tmp/.npipe0abcxyz/deeper/s":     "/tmp/.npipe0abcxyz/deeper/s",
		"/home/me/.npm/s":                 "/home/me/.npm/s",
		"":                                "",
	} {
		if got := CutTemp(bound); got != want {
			t.Errorf("CutTemp(%q) = %q, want %q", bound, got, want)
		}
	}
}
