package pipename

import "testing"

func TestNext(t *testing.T) {
	for path, want := range map[string]string{
		`\\.\pipe\mine`:               `\\.\pipe\.next-mine`,
		`\\.\pipe\LOCAL\mine`:         `\\.\pipe\LOCAL\.next-mine`,
		"/run/me/my.sock":             "/run/me/.next-my.sock",
		"/tmp/" + DotNetPrefix + "me": "/tmp/.next-" + DotNetPrefix + "me",
	} {
		if got := Next(path); got != want || !IsNext(got) || IsNext(path) {
			t.Errorf("Next(%q) = %q, want %q", path, got, want)
		}
	}
}
