package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

// What is in docs is what the commands say.
func TestDocsAreCurrent(t *testing.T) {
	files, err := generate()
	if err != nil {
		t.Fatal(err)
	}
	const docs = "../../../docs"
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(docs, filepath.FromSlash(name)))
		if err != nil {
			t.Errorf("%v: run go generate ./internal/cli/gendocs", err)
			continue
		}
		if !bytes.Equal(bytes.ReplaceAll(got, []byte("\r\n"), []byte("\n")), want) {
			t.Errorf("docs/%s is not what the command says: run go generate ./internal/cli/gendocs", name)
		}
	}
	for _, dir := range []string{"man", "reference"} {
		there, err := os.ReadDir(filepath.Join(docs, dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range there {
			if files[dir+"/"+f.Name()] == nil {
				t.Errorf("docs/%s/%s is of no command", dir, f.Name())
			}
		}
	}
}
