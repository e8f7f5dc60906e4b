package pipename

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
)

func testTemp() (string, error) { return "/tmp", nil }

// TestNames holds every spelling against the path it means on Windows and on
// Linux, on every system. An empty path is a refusal whose text has the hint.
func TestNames(t *testing.T) {
	long := strings.Repeat("n", 300)
	for _, test := range []struct {
		name, windows, unix, hint string
	}{
		{name: `MyPipe`, windows: `\\.\pipe\MyPipe`, unix: "/tmp/CoreFxPipe_MyPipe"},
		{name: `\\.\pipe\MyPipe`, windows: `\\.\pipe\MyPipe`, unix: "/tmp/CoreFxPipe_MyPipe"},
		{name: `\\.\PIPE\MyPipe`, windows: `\\.\pipe\MyPipe`, unix: "/tmp/CoreFxPipe_MyPipe"},
		{name: `//./pipe/MyPipe`, windows: `\\.\pipe\MyPipe`, unix: "/tmp/CoreFxPipe_MyPipe"},
		{name: `//./Pipe/MyPipe`, windows: `\\.\pipe\MyPipe`, unix: "/tmp/CoreFxPipe_MyPipe"},
		{name: `mypipe`, windows: `\\.\pipe\mypipe`, unix: "/tmp/CoreFxPipe_mypipe"},
		{name: `my pipe é #?%20,*`, windows: `\\.\pipe\my pipe é #?%20,*`, unix: "/tmp/CoreFxPipe_my pipe é #?%20,*"},
		{name: `a\b`, windows: `\\.\pipe\a\b`, unix: `/tmp/CoreFxPipe_a\b`},
		{name: `.hidden`, windows: `\\.\pipe\.hidden`, unix: "/tmp/CoreFxPipe_.hidden"},
		{name: `pipe`, windows: `\\.\pipe\pipe`, unix: "/tmp/CoreFxPipe_pipe"},
		{name: `\\.\pipe\\\.\pipe\x`, hint: "empty part"},
		{name: `LOCAL\MyPipe`, windows: `\\.\pipe\LOCAL\MyPipe`, hint: "bare name"},
		{name: `local\MyPipe`, windows: `\\.\pipe\local\MyPipe`, hint: "bare name"},
		{name: `\\.\pipe\LOCAL\MyPipe`, windows: `\\.\pipe\LOCAL\MyPipe`, hint: "bare name"},
		{name: `LOCALS`, windows: `\\.\pipe\LOCALS`, unix: "/tmp/CoreFxPipe_LOCALS"},
		{name: `ProtectedPrefix\Administrators\MyPipe`, windows: `\\.\pipe\ProtectedPrefix\Administrators\MyPipe`, hint: "bare name"},
		{name: `/run/me/my.sock`, unix: "/run/me/my.sock", hint: "on Windows write the bare name"},
		{name: `/`, hint: "file name"},
		{name: `/run/me/`, hint: "file name"},
		{name: "/run/\x00", hint: "NUL"},
		{name: ``, hint: "MyPipe"},
		{name: `\\.\pipe\`, hint: "MyPipe"},
		{name: `anonymous`, hint: "another name"},
		{name: `Anonymous`, hint: "another name"},
		{name: `\\.\pipe\ANONYMOUS`, hint: "another name"},
		{name: "a\x00b", hint: "NUL"},
		{name: "a\xff", hint: "UTF-8"},
		{name: `a/b`, hint: "slash"},
		{name: `//./pipe/a/b`, hint: "slash"},
		{name: `\\server\pipe\MyPipe`, hint: "one machine"},
		{name: `//server/pipe/MyPipe`, hint: "one machine"},
		{name: `\\?\pipe\MyPipe`, hint: `\\.\pipe\NAME`},
		{name: `\\.\C:`, hint: `\\.\pipe\NAME`},
		{name: `//tmp/x`, hint: "one machine"},
		{name: `\MyPipe`, hint: "empty part"},
		{name: `a\`, hint: "empty part"},
		{name: `a\\b`, hint: "empty part"},
		{name: `.`, hint: "leave that part out"},
		{name: `a\..\b`, hint: "leave that part out"},
		{name: `MyPipe.`, hint: "dot or a space"},
		{name: `MyPipe `, hint: "dot or a space"},
		{name: `a.\b`, hint: "dot or a space"},
		{name: long, hint: "shorter"},
		{name: strings.Repeat("n", 256-len(Prefix)), windows: Prefix + strings.Repeat("n", 256-len(Prefix)), hint: "shorter"},
		{name: strings.Repeat("n", 257-len(Prefix)), hint: "shorter"},
		{name: strings.Repeat("😈", 124), hint: "shorter"}, // 248 UTF-16 units
		{name: strings.Repeat("n", 107-len("/tmp/CoreFxPipe_")), windows: Prefix + strings.Repeat("n", 91), unix: "/tmp/CoreFxPipe_" + strings.Repeat("n", 91)},
		{name: strings.Repeat("n", 92), windows: Prefix + strings.Repeat("n", 92), hint: "holds 107"},
		{name: "/" + strings.Repeat("n", 106), unix: "/" + strings.Repeat("n", 106), hint: "on Windows"},
		{name: "/" + strings.Repeat("n", 107), hint: "shorter"},
	} {
		path, err := windowsPath(test.name)
		checkName(t, "windows", test.name, path, err, test.windows, test.hint)
		path, err = unixPath(test.name, testTemp, 107)
		checkName(t, "linux", test.name, path, err, test.unix, test.hint)
	}
}

func checkName(t *testing.T, system, name, path string, err error, want, hint string) {
	t.Helper()
	switch {
	case path != want:
		t.Errorf("%s: %q is %q, want %q (%v)", system, name, path, want, err)
	case (err == nil) != (want != ""):
		t.Errorf("%s: %q: path %q and error %v", system, name, path, err)
	case err != nil && !errors.Is(err, fs.ErrInvalid):
		t.Errorf("%s: %q: %v doesn't match fs.ErrInvalid", system, name, err)
	case err != nil && system == "linux" && !strings.Contains(err.Error(), hint) && !strings.Contains(hint, "on Windows"):
		t.Errorf("%s: %q: %v doesn't say %q", system, name, err, hint)
	case err != nil && hint == "":
		t.Errorf("%s: %q: no hint is expected but the error is %v", system, name, err)
	}
}

func TestTempFolder(t *testing.T) {
	for temp, want := range map[string]string{
		"/var/folders/x": "/var/folders/x/CoreFxPipe_n",
		"/tmp/":          "/tmp/CoreFxPipe_n",
		"/":              "/CoreFxPipe_n",
	} {
		if got, err := unixPath("n", func() (string, error) { return temp, nil }, 103); got != want || err != nil {
			t.Errorf("in %s: %q, %v; want %q", temp, got, err, want)
		}
	}
}

// FuzzName shows that a name never reaches another name's pipe: two names have
// one path only if they are spellings of one bare name.
func FuzzName(f *testing.F) {
	for _, s := range []string{"MyPipe", `\\.\pipe\MyPipe`, "//./pipe/MyPipe", "/tmp/CoreFxPipe_MyPipe", `LOCAL\x`, "a/b", `a\b`, "x.", "é", "\x00"} {
		f.Add(s, "MyPipe")
	}
	bareOf := func(name string) string {
		if len(name) > 9 && strings.EqualFold(strings.ReplaceAll(name[:9], "/", `\`), Prefix) {
			return name[9:]
		}
		return name
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		if pa, err := windowsPath(a); err == nil {
			if !strings.HasPrefix(pa, Prefix) || strings.ContainsAny(pa[len(Prefix):], "/\x00") {
				t.Errorf("%q became %q", a, pa)
			}
			if pb, err := windowsPath(b); err == nil && strings.EqualFold(pa, pb) && !strings.EqualFold(bareOf(a), bareOf(b)) {
				t.Errorf("%q and %q are both %q", a, b, pa)
			}
			if again, err := windowsPath(pa); err != nil || again != pa {
				t.Errorf("%q became %q, which became %q (%v)", a, pa, again, err)
			}
		}
		if pa, err := unixPath(a, testTemp, 107); err == nil {
			if len(pa) > 107 || !strings.HasPrefix(pa, "/") || strings.Contains(pa, "\x00") {
				t.Errorf("%q became %q", a, pa)
			}
			if pb, err := unixPath(b, testTemp, 107); err == nil && pa == pb && a != b && bareOf(a) != bareOf(b) && a != pb && b != pa {
				t.Errorf("%q and %q are both %q", a, b, pa)
			}
		}
	})
}
