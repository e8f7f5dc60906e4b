package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What is in docs is what the commands say.
func TestReferenceIsCurrent(t *testing.T) {
	files, err := generate("reference")
	if err != nil {
		t.Fatal(err)
	}
	const dir = "../../../docs/reference"
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%v: run go generate ./internal/cli/gendocs", err)
			continue
		}
		if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("%s is not what the command says: run go generate ./internal/cli/gendocs", name)
		}
	}
	there, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range there {
		if files[f.Name()] == nil {
			t.Errorf("%s is of no command", f.Name())
		}
	}
}

// A release's manual pages: one for each page of the reference, the same on
// whatever day it is made, and without what an earlier run left.
func TestManualPages(t *testing.T) {
	reference, err := generate("reference")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "man")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "old.1"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := write("man", dir); err != nil {
		t.Fatal(err)
	}
	pages, err := os.ReadDir(dir)
	if err != nil || len(pages) != len(reference) {
		t.Errorf("%d manual pages, %v; want %d", len(pages), err, len(reference))
	}
	b, err := os.ReadFile(filepath.Join(dir, "grpcpipe-call.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`.TH "GRPCPIPE-CALL" "1" "" "grpcpipe" "grpcpipe"`, ".SH SYNOPSIS", `\fB--connect-timeout\fP`} {
		if !bytes.Contains(b, []byte(want)) {
			t.Errorf("grpcpipe-call.1 has no %q", want)
		}
	}
}
