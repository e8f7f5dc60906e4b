package dotnetpeer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	wanted := []string{"a", "b"}
	for _, tt := range []struct {
		name, out string
		exit      int
		problem   string // part of the error of all
		a, b      string // part of the errors of the cases
	}{
		{name: "both pass", out: "ok a\r\nok b\r\n2 passed, 0 failed\r\n"},
		{name: "one fails", out: "ok a\nFAIL b: Oops: it: broke\n1 passed, 1 failed\n", exit: 1, b: "Oops: it: broke"},
		{name: "no reason", out: "ok a\nFAIL b\n1 passed, 1 failed\n", exit: 1, b: ".NET client"},
		{name: "ends early", out: "ok a\n", exit: 134, b: "said nothing", problem: "status 134"},
		{name: "no summary", out: "ok a\nok b\n", problem: "ended with"},
		{name: "summary differs", out: "ok a\nok b\n1 passed, 1 failed\n", problem: "ended with"},
		{name: "status differs", out: "ok a\nok b\n2 passed, 0 failed\n", exit: 3, problem: "status 3"},
		{name: "stranger", out: "ok a\nok b\nok c\n2 passed, 0 failed\n", problem: `"c"`},
		{name: "nothing", problem: "ended with", a: "said nothing", b: "said nothing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			results, err := parse(tt.out, tt.exit, wanted)
			match(t, "all", err, tt.problem)
			match(t, "a", results["a"], tt.a)
			match(t, "b", results["b"], tt.b)
		})
	}
}

func match(t *testing.T, what string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got error %v, want %q", what, err, want)
	}
}

func TestFind(t *testing.T) {
	if _, err := find(""); !errors.Is(err, errUnset) {
		t.Errorf("not set: got %v", err)
	}
	if runtime.GOARCH != "amd64" || runtime.GOOS != "linux" && runtime.GOOS != "windows" {
		t.Skip("no peer is built for this system")
	}
	dir := t.TempDir()
	if _, err := find(dir); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("missing: got %v", err)
	}
	program := map[string]string{"linux": "linux-x64/dotnet-peer", "windows": "win-x64/dotnet-peer.exe"}[runtime.GOOS]
	want := filepath.Join(dir, filepath.FromSlash(program))
	if err := os.MkdirAll(filepath.Dir(want), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(want, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := find(dir); err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}
