package seen

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const document = "../../../docs/interop.md"

// The committed tables have the declared rows, no other, and no failure.
func TestDocument(t *testing.T) {
	b, err := os.ReadFile(document)
	if err != nil {
		t.Fatal(err)
	}
	doc := strings.ReplaceAll(string(b), "\r\n", "\n")
	if err := Check(doc); err != nil {
		t.Errorf("%v: run the interop tests with %s set, then go run ./interop/table", err, Env)
	}
	row := Rows[0].head()
	for what, bad := range map[string]string{
		"a row that nobody declares": strings.Replace(doc, row, "| Go client, Fortran server | - |", 1),
		"a row twice":                strings.Replace(doc, row, row+strings.Repeat(" seen |", len(Columns))+"\n"+row, 1),
		"a failure":                  strings.Replace(doc, "| "+notSeen+" |", "| **FAILS** |", 1),
	} {
		if Check(bad) == nil {
			t.Errorf("%s passes", what)
		}
	}
}

// Each declared row has a test that marks itself with its id, wholly or, for
// tables of tests, with the first words of it.
func TestRowsHaveTests(t *testing.T) {
	files, err := filepath.Glob("../../../interop/*_test.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var source strings.Builder
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	ids := map[string]bool{}
	for _, r := range Rows {
		if ids[r.ID] {
			t.Errorf("row %q is declared twice", r.ID)
		}
		ids[r.ID] = true
		test, _, _ := strings.Cut(r.Test, "/")
		if !strings.Contains(source.String(), "func "+test+"(") {
			t.Errorf("row %q: there is no test %s", r.ID, test)
		}
		prefix := r.ID
		for !strings.Contains(source.String(), `"`+prefix) && strings.Contains(prefix, "-") {
			prefix = prefix[:strings.LastIndexByte(strings.TrimSuffix(prefix, "-"), '-')+1]
		}
		if !strings.Contains(source.String(), `"`+prefix) {
			t.Errorf("row %q: no test marks it", r.ID)
		}
	}
}

func TestCell(t *testing.T) {
	row := RowInfo{ID: "x", Only: []System{Linux, Wine}}
	for _, tt := range []struct {
		name    string
		results []Result
		system  System
		want    string
	}{
		{"nothing", nil, Linux, notSeen},
		{"no such thing", []Result{{Row: "x", System: Windows, Engine: GRPC, What: Pass}}, Windows, nothing},
		{"another system", []Result{{Row: "x", System: Wine, Engine: GRPC, What: Pass}}, Linux, notSeen},
		{"another row", []Result{{Row: "y", System: Linux, Engine: GRPC, What: Pass}}, Linux, notSeen},
		{"a skip", []Result{{Row: "x", System: Linux, Engine: GRPC, What: Skip, Said: "36 of 36"}}, Linux, notSeen},
		{"a pass", []Result{{Row: "x", System: Linux, Engine: GRPC, What: Pass}}, Linux, yes},
		{"with words", []Result{{Row: "x", System: Linux, Engine: GRPC, What: Pass, Said: "36 of 36"}}, Linux, "36 of 36"},
		{"another implementation", []Result{{Row: "x", System: Linux, Engine: Fast, What: Pass}}, Linux, notSeen},
		{"one of two fails", []Result{{Row: "x", System: Linux, Engine: GRPC, What: Fail}, {Row: "x", System: Linux, Engine: GRPC, What: Pass}}, Linux, "**FAILS**"},
		{"the other of two", []Result{{Row: "x", System: Linux, Engine: GRPC, What: Pass}, {Row: "x", System: Linux, Engine: GRPC, What: Fail}}, Linux, "**FAILS**"},
	} {
		if got := cell(row, Column{tt.system, GRPC}, tt.results); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	row.Engine = GRPC
	if got := cell(row, Column{Linux, Fast}, nil); got != nothing {
		t.Errorf("of a row without fastgrpc: got %q, want %q", got, nothing)
	}
}

func TestWriteAndRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), Env) {
		t.Errorf("an empty folder: %v", err)
	}
	if here() == "" {
		t.Skip("this system has no column")
	}
	t.Setenv(Env, dir)
	t.Run("pass", func(t *testing.T) { Row(t, Rows[0].ID).Say("%d of %d", 3, 4) })
	t.Run("skip", func(t *testing.T) {
		Row(t, Rows[1].ID)
		t.Skip("to see a skip")
	})
	got, err := Read(dir)
	if err != nil || len(got) != 2 || got[0].What != Pass || got[0].Said != "3 of 4" || got[1].What != Skip {
		t.Errorf("got %+v, %v", got, err)
	}
}
