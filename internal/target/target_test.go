package target

import (
	"errors"
	"io/fs"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

var targets = []struct {
	text    string
	kind    Kind
	names   string // of the pipes, separated by |
	pattern string
	tls     bool
	scheme  string
	err     string // a part of the error's text
}{
	{text: "MyPipe", names: "MyPipe"},
	{text: "127.0.0.1", names: "127.0.0.1"},
	{text: "My Pipe#1?%20é", names: "My Pipe#1?%20é"},
	{text: "npipe:MyPipe", names: "MyPipe"},
	{text: "nPiPe:MyPipe", names: "MyPipe"},
	{text: "npipe:///MyPipe", names: "MyPipe"},
	{text: "npipe:///a,b", names: "a,b"},
	{text: "npipe://./pipe/MyPipe", names: "MyPipe"},
	{text: "npipe://./pipe/a,b", names: "a,b"},
	{text: "npipe:////./pipe/MyPipe", names: "MyPipe"},
	{text: `npipe:////.\PIPE/MyPipe`, names: "MyPipe"},
	{text: `npipe:\\.\pipe\MyPipe`, names: "MyPipe"},
	{text: `npipe://\\.\pipe\MyPipe`, names: "MyPipe"},
	{text: `npipe:///\\.\pipe\MyPipe`, names: "MyPipe"},
	{text: `\\.\pipe\MyPipe`, names: "MyPipe"},
	{text: `//./pipe/MyPipe`, names: "MyPipe"},
	{text: `//./PIPE/a,b`, names: "a,b"},
	{text: "http://pipe:/MyPipe", names: "MyPipe"},
	{text: "http://pipe:/a,b", names: "a,b"},
	{text: "HTTPS://PIPE:/MyPipe", names: "MyPipe", tls: true},
	{text: "npipe:a,b", names: "a|b"},
	{text: "npipe:b,a,b", names: "b|a"},
	{text: `npipe:a,\\.\pipe\b`, names: "a|b"},
	{text: "npipe:worker-*", pattern: "worker-*"},
	{text: `npipe:\\.\pipe\worker-*`, pattern: "worker-*"},
	{text: "npipe:*", pattern: "*"},

	{text: "dns:///example.com", kind: OtherScheme, scheme: "dns"},
	{text: "DNS:example.com:5000", kind: OtherScheme, scheme: "dns"},
	{text: "passthrough:///x", kind: OtherScheme, scheme: "passthrough"},
	{text: "unix:/tmp/x", kind: OtherScheme, scheme: "unix"},
	{text: "127.0.0.1:5000", kind: HostPort},
	{text: "[::1]:5000", kind: HostPort},
	{text: "localhost:5000", kind: HostPort},
	{text: ":5000", kind: HostPort},
	{text: "nosuch:///x", kind: OtherScheme, scheme: "nosuch"},
	{text: "tcp://127.0.0.1:80", kind: OtherScheme, scheme: "tcp"},
	{text: `C:\x`, kind: OtherScheme, scheme: "c"},

	{text: "", err: "write npipe:NAME"},
	{text: "npipe:", err: "write npipe:NAME"},
	{text: "npipe://", err: "write npipe:"},
	{text: "npipe:///", err: "write npipe:NAME"},
	{text: "npipe://MyPipe", err: "write npipe:MyPipe or npipe:///MyPipe"},
	{text: "npipe://HOST/pipe/MyPipe", err: "another machine (HOST)"},
	{text: `npipe://\\HOST\pipe\MyPipe`, err: "another machine"},
	{text: `npipe:\\HOST\pipe\MyPipe`, err: "another machine"},
	{text: `\\HOST\pipe\MyPipe`, err: "another machine"},
	{text: "//HOST/pipe/MyPipe", err: "another machine"},
	{text: "npipe:a,", err: "a name is missing"},
	{text: "npipe:,a", err: "a name is missing"},
	{text: "npipe:a,b*", err: "a pattern can't be part of a list"},
	{text: "npipe:/run/*.sock", err: "a pattern is for names"},
	{text: "npipe:a/b", err: "has a slash"},
	{text: "npipe:///a/b", err: "npipe:////a/b"},
	{text: "a,b", err: "write npipe:a,b"},
	{text: "worker-*", err: "write npipe:worker-*"},
	{text: "a/b", err: "write npipe:NAME"},
	{text: "http://pipe:/MyPipe:/base", err: "write http://pipe:/MyPipe"},
	{text: "http://pipe:/", err: "write http://pipe:/NAME"},
	{text: "http://pipe:/MyPipe/", err: "has a slash"},
	{text: "http://pipe/MyPipe", err: "http://pipe:/NAME"},
	{text: "https://localhost:5000", err: "host:port"},
	{text: "npipe:anonymous", err: "reserved"},
	{text: "npipe:a\x00b", err: "NUL"},
}

func TestParse(t *testing.T) {
	for _, tt := range targets {
		got, err := Parse(tt.text)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "bad target") {
				t.Errorf("%q: error %v, want one with %q", tt.text, err, tt.err)
			} else if e := new(Error); !errors.Is(err, fs.ErrInvalid) || !errors.As(err, &e) || e.Text != tt.text {
				t.Errorf("%q: error %#v is not an *Error with the text that matches fs.ErrInvalid", tt.text, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", tt.text, err)
			continue
		}
		var want []string
		if tt.names != "" {
			for name := range strings.SplitSeq(tt.names, "|") {
				addr, err := namedpipe.ResolveAddr(name)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, addr.String())
			}
		}
		if got.Kind != tt.kind || !slices.Equal(got.Paths, want) || got.Pattern != tt.pattern || got.TLS != tt.tls || got.Scheme != tt.scheme || got.Text != tt.text {
			t.Errorf("%q: got %+v", tt.text, got)
		}
	}
}

func TestSocketPaths(t *testing.T) {
	for text, path := range map[string]string{
		"/run/me/x.sock":         "/run/me/x.sock",
		"/run/me/a,*:5#?":        "/run/me/a,*:5#?",
		"npipe:/run/me/x.sock":   "/run/me/x.sock",
		"npipe:////run/me/a,b":   "/run/me/a,b",
		"npipe:////run/me/x*y:1": "/run/me/x*y:1",
	} {
		got, err := Parse(text)
		if runtime.GOOS == "windows" {
			if err == nil || !strings.Contains(err.Error(), "Unix socket") {
				t.Errorf("%q: %+v, %v", text, got, err)
			}
			continue
		}
		if err != nil || got.Kind != Pipes || !slices.Equal(got.Paths, []string{path}) {
			t.Errorf("%q: %+v, %v; want the path %s", text, got, err, path)
		}
	}
}

func TestForName(t *testing.T) {
	for name, want := range map[string]string{
		"MyPipe":            "MyPipe",
		`\.\pipe\a,b`:       `\.\pipe\a,b`,
		"a,b":               "npipe:///a,b",
		"a*":                "npipe:///a*",
		"a:5000":            "npipe:///a:5000",
		"npipe:x":           "npipe:///npipe:x",
		"http:x":            "npipe:///http:x",
		"/tmp/x.sock":       "/tmp/x.sock",
		"/tmp/a,b*.sock:5":  "/tmp/a,b*.sock:5",
		"no/name, as it is": "no/name, as it is",
	} {
		if got := ForName(name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
}

// FuzzParse holds that nothing panics, that what grpc sees is ours, and
// that a name written in any form, ForName's among them, reaches that name's pipe or is refused.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"MyPipe", "npipe:a,b", `npipe:\\.\pipe\x`, "npipe://./pipe/x", "http://pipe:/x", "npipe:w-*", "a%zz#?", "dns:///x", ":1", "//", "npipe:////"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := Parse(s); err == nil && got.Kind == Pipes {
			if u, err := url.Parse(got.URL); err != nil || u.Scheme != Scheme {
				t.Errorf("%q: grpc gets %q: %v", s, got.URL, err)
			}
			if (len(got.Paths) == 0) == (got.Pattern == "") {
				t.Errorf("%q: %+v", s, got)
			}
		}
		addr, err := namedpipe.ResolveAddr(s)
		if err != nil {
			return
		}
		if got, err := Parse(ForName(s)); err != nil || !slices.Equal(got.Paths, []string{addr.String()}) {
			t.Errorf("%q: the target %q reaches %q, not %q: %v", s, ForName(s), got.Paths, addr, err)
		}
		if pipename.IsSlash(s[0]) {
			return
		}
		for _, prefix := range []string{"npipe:///", "npipe://./pipe/", `npipe:////./pipe/`, `npipe://\\.\pipe\`, `\\.\pipe\`, "//./pipe/"} {
			got, err := Parse(prefix + s)
			if err == nil && (len(got.Paths) != 1 || got.Paths[0] != addr.String()) {
				t.Errorf("%q reaches %q, not %q", prefix+s, got.Paths, addr)
			}
			if err != nil {
				t.Errorf("%q: %v", prefix+s, err)
			}
		}
	})
}
