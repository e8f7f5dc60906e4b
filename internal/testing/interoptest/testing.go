package interoptest

import "testing"

// Test runs every case as a subtest of its own. Cases that the server can't
// do are named in leftOut with the reason, and are run all the same: one that
// passes by now must come off the list. Test returns how many cases passed.
func Test(t *testing.T, target Target, leftOut map[string]string) (passed int) {
	t.Helper()
	known := map[string]bool{}
	for _, c := range cases {
		known[c.Name] = true
		reason, out := leftOut[c.Name]
		t.Run(c.Name, func(t *testing.T) {
			err := c.Run(t.Context(), target)
			switch {
			case out && err == nil:
				t.Errorf("passes, though it is left out (%s): take it off the list", reason)
			case out:
				t.Skipf("left out: %s (%v)", reason, err)
			case err != nil:
				t.Error(err)
			default:
				passed++
			}
		})
	}
	for name := range leftOut {
		if !known[name] {
			t.Errorf("left out: %q is no case", name)
		}
	}
	return passed
}
