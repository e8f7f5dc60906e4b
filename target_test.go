package grpcpipe

import (
	"errors"
	"io/fs"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

var targets = []struct {
	text    string
	kind    targetKind
	names   string // of the pipes, separated by |
	pattern string
	tls     bool
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

	{text: "dns:///example.com", kind: toGRPC},
	{text: "DNS:example.com:5000", kind: toGRPC},
	{text: "passthrough:///x", kind: toGRPC},
	{text: "unix:/tmp/x", kind: toGRPC},
	{text: "127.0.0.1:5000", kind: toGRPC},
	{text: "[::1]:5000", kind: toGRPC},
	{text: "localhost:5000", kind: toGRPC},
	{text: ":5000", kind: toGRPC},
	{text: "nosuch:///x", kind: unknownScheme},
	{text: "tcp://127.0.0.1:80", kind: unknownScheme},
	{text: `C:\x`, kind: unknownScheme},

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
	{text: "/run/me/x.sock", err: "write npipe:/run/me/x.sock"},
	{text: "http://pipe:/MyPipe:/base", err: "write http://pipe:/MyPipe"},
	{text: "http://pipe:/", err: "write http://pipe:/NAME"},
	{text: "http://pipe:/MyPipe/", err: "has a slash"},
	{text: "http://pipe/MyPipe", err: "http://pipe:/NAME"},
	{text: "https://localhost:5000", err: "host:port"},
	{text: "npipe:anonymous", err: "reserved"},
	{text: "npipe:a\x00b", err: "NUL"},
}

func TestParseTarget(t *testing.T) {
	for _, tt := range targets {
		got, err := parseTarget(tt.text)
		if tt.err != "" {
			if err == nil || !strings.Contains(err.Error(), tt.err) || !strings.Contains(err.Error(), "grpcpipe: bad target") {
				t.Errorf("%q: error %v, want one with %q", tt.text, err, tt.err)
			} else if !errors.Is(err, fs.ErrInvalid) {
				t.Errorf("%q: error %v is not fs.ErrInvalid", tt.text, err)
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
		if got.kind != tt.kind || !slices.Equal(got.paths, want) || got.pattern != tt.pattern || got.tls != tt.tls {
			t.Errorf("%q: got %+v", tt.text, got)
		}
	}
	onWindows := runtime.GOOS == "windows"
	for _, text := range []string{"npipe:/run/me/x.sock", "npipe:////run/me/x.sock"} {
		got, err := parseTarget(text)
		switch {
		case onWindows && (err == nil || !strings.Contains(err.Error(), "Unix socket")):
			t.Errorf("%q: %v", text, err)
		case !onWindows && (err != nil || got.paths[0] != "/run/me/x.sock"):
			t.Errorf("%q: %+v %v", text, got, err)
		}
	}
}

// FuzzParseTarget holds that nothing panics, that what grpc sees is ours, and
// that a name written in any form reaches that name's pipe or is refused.
func FuzzParseTarget(f *testing.F) {
	for _, s := range []string{"MyPipe", "npipe:a,b", `npipe:\\.\pipe\x`, "npipe://./pipe/x", "http://pipe:/x", "npipe:w-*", "a%zz#?", "dns:///x", ":1", "//", "npipe:////"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := parseTarget(s); err == nil && got.kind == toPipes {
			if u, err := url.Parse(got.url); err != nil || u.Scheme != scheme {
				t.Errorf("%q: grpc gets %q: %v", s, got.url, err)
			}
			if (len(got.paths) == 0) == (got.pattern == "") {
				t.Errorf("%q: %+v", s, got)
			}
		}
		addr, err := namedpipe.ResolveAddr(s)
		if err != nil || isSlash(s[0]) {
			return
		}
		for _, prefix := range []string{"npipe:///", "npipe://./pipe/", `npipe:////./pipe/`, `npipe://\\.\pipe\`, `\\.\pipe\`, "//./pipe/"} {
			got, err := parseTarget(prefix + s)
			if err == nil && (len(got.paths) != 1 || got.paths[0] != addr.String()) {
				t.Errorf("%q reaches %q, not %q", prefix+s, got.paths, addr)
			}
			if err != nil {
				t.Errorf("%q: %v", prefix+s, err)
			}
		}
	})
}
