package follow

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want, folded  bool
	}{
		{"a", "a", true, true},
		{"a", "A", false, true},
		{"worker-*", "worker-1", true, true},
		{"worker-*", "worker-", true, true},
		{"worker-*", "Worker-1", false, true},
		{"worker-*", "worker", false, false},
		{"*", "", true, true},
		{"*", "x", true, true},
		{"", "", true, true},
		{"", "x", false, false},
		{"*a*b*", "xaybz", true, true},
		{"*a*b", "ab1ab2", false, false},
		{"*a*b", "ab1a2b", true, true},
		{"a**b", "ab", true, true},
		{"a?", "ab", false, false},
		{"[a]", "a", false, false},
		{"é*", "É1", false, true},
		{"*é", "aé", true, true},
		{"\xff", "\xfe", false, false},
	} {
		if got := match(tt.pattern, tt.name, false); got != tt.want {
			t.Errorf("match(%q, %q) = %v", tt.pattern, tt.name, got)
		}
		if got := match(tt.pattern, tt.name, true); got != tt.folded {
			t.Errorf("folded match(%q, %q) = %v", tt.pattern, tt.name, got)
		}
	}
}

// directory builds a buffer as NtQueryDirectoryFile fills it: entries aligned to
// eight bytes, the last with no offset to a next one.
func directory(entries ...Entry) []byte {
	var b []byte
	for i, e := range entries {
		name := utf16.Encode([]rune(e.Name))
		entry := make([]byte, offName+2*len(name))
		binary.LittleEndian.PutUint64(entry[offInstances:], uint64(e.Instances))
		// The system writes 32 bits of -1 into the 64-bit field.
		binary.LittleEndian.PutUint64(entry[offMax:], uint64(uint32(e.MaxInstances)))
		binary.LittleEndian.PutUint32(entry[56:], 0x80) // FILE_ATTRIBUTE_NORMAL
		binary.LittleEndian.PutUint32(entry[offNameLength:], uint32(2*len(name)))
		for j, u := range name {
			binary.LittleEndian.PutUint16(entry[offName+2*j:], u)
		}
		if i < len(entries)-1 {
			for len(entry)%8 != 0 {
				entry = append(entry, 0)
			}
			binary.LittleEndian.PutUint32(entry[offNext:], uint32(len(entry)))
		}
		b = append(b, entry...)
	}
	return b
}

var some = []Entry{
	{Name: "InitShutdown", Path: `\\.\pipe\InitShutdown`, Instances: 3, MaxInstances: -1},
	{Name: `Winsock2\CatalogChangeListener-3b0-0`, Path: `\\.\pipe\Winsock2\CatalogChangeListener-3b0-0`, Instances: 1, MaxInstances: 1},
	{Name: "ein Rohr für é 😀", Path: `\\.\pipe\ein Rohr für é 😀`, Instances: 16, MaxInstances: 255},
}

func TestParseDirectory(t *testing.T) {
	for n := 1; n <= len(some); n++ {
		got, err := parseDirectory(directory(some[:n]...))
		if err != nil || !reflect.DeepEqual(got, some[:n]) {
			t.Errorf("got %+v, %v", got, err)
		}
	}
	// The pipe on which a server's successor asks is no server.
	shared := Entry{Name: "shared", Path: `\\.\pipe\shared`, Instances: 2, MaxInstances: -2}
	got, err := parseDirectory(directory(Entry{Name: ".next-mine"}, shared, Entry{Name: `LOCAL\.next-mine`}))
	shared.MaxInstances = -1
	if want := []Entry{shared}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	whole := directory(some...)
	for n := range whole {
		if got, err := parseDirectory(whole[:n]); err == nil {
			t.Errorf("cut off after %d bytes: %+v", n, got)
		}
	}
	for what, spoil := range map[string]func([]byte){
		"a step back":      func(b []byte) { binary.LittleEndian.PutUint32(b, 1) },
		"a step too far":   func(b []byte) { binary.LittleEndian.PutUint32(b, 1<<31) },
		"an odd name":      func(b []byte) { b[offNameLength]++ },
		"an endless name":  func(b []byte) { binary.LittleEndian.PutUint32(b[offNameLength:], 1<<32-2) },
		"an overlong name": func(b []byte) { binary.LittleEndian.PutUint32(b[offNameLength:], 40) },
	} {
		b := directory(some...)
		spoil(b)
		if got, err := parseDirectory(b); err == nil {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func FuzzParseDirectory(f *testing.F) {
	f.Add(directory(some...))
	f.Add(directory(some[0]))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, err := parseDirectory(b)
		if err != nil {
			return
		}
		if len(entries) == 0 || len(entries) > len(b)/offName {
			t.Errorf("%d entries from %d bytes", len(entries), len(b))
		}
	})
}

func TestSystem(t *testing.T) {
	if _, err := System.List("*"); errors.Is(err, errors.ErrUnsupported) {
		if !strings.Contains(err.Error(), "Wine 10") {
			t.Error(err)
		}
		t.Skip("this system can't list pipes:", err)
	}
	names := func() []string {
		t.Helper()
		entries, err := System.List("gptest-list-*")
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name)
			if addr, err := namedpipe.ResolveAddr(e.Name); err != nil || addr.String() != e.Path {
				t.Errorf("%q has the path %q, want %v %v", e.Name, e.Path, addr, err)
			}
		}
		return names
	}
	if got := names(); got != nil {
		t.Fatalf("already there: %q", got)
	}
	// Again and again: the lister must not take an old answer for a new one.
	for range 20 {
		l, err := namedpipe.Listen(context.Background(), "gptest-list-1")
		if err != nil {
			t.Fatal(err)
		}
		if got := names(); !reflect.DeepEqual(got, []string{"gptest-list-1"}) {
			t.Errorf("got %q", got)
		}
		if l.Stats().Accepted+uint64(l.Stats().Queued) > 0 {
			t.Errorf("listing has opened the pipe: %+v", l.Stats())
		}
		l.Close()
		if got := names(); got != nil {
			t.Errorf("still there: %q", got)
		}
	}
}

func TestFolderOfPipes(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("pipes are in no folder that a test could fill")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	for _, file := range []string{"CoreFxPipe_file", "other"} {
		if err := os.WriteFile(dir+"/"+file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir+"/CoreFxPipe_dir", 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := namedpipe.Listen(context.Background(), "real")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got, err := System.List("*")
	if want := []Entry{{Name: "real", Path: dir + "/CoreFxPipe_real"}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	t.Setenv("TMPDIR", dir+"/missing")
	if _, err := System.List("*"); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Error(err)
	}
}

func TestFolderIsNotReadAgain(t *testing.T) {
	counted, ok := System.(interface{ reads() int })
	if !ok {
		t.Skip("the system's list is one call, and always made")
	}
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(dir, old, old); err != nil {
		t.Fatal(err)
	}
	System.List("*")
	before := counted.reads()
	for range 10 {
		System.List("*")
	}
	if n := counted.reads() - before; n != 0 {
		t.Errorf("read %d times", n)
	}
}
