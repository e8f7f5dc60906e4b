package grpcpipe_test

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// fence finds the Go code in a document, with the comment that names the file
// it is from.
var fence = regexp.MustCompile("(?m)^(?:<!-- from (\\S+) -->\n)?```go\n((?s:.*?))^```$")

// TestDocumentsCompile: each piece of Go in the documents is a run of lines of a
// file that is compiled, whatever its indentation.
func TestDocumentsCompile(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat("README.md"); err != nil {
		t.Skipf("the documents are not here: %v", err)
	}
	found := 0
	for _, document := range append(documents, "README.md") {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllStringSubmatch(strings.ReplaceAll(string(text), "\r\n", "\n"), -1) {
			found++
			if m[1] == "" {
				t.Errorf("%s: code of no file:\n%s", document, m[2])
				continue
			}
			source, err := os.ReadFile(filepath.FromSlash(m[1]))
			if err != nil {
				t.Errorf("%s: %v", document, err)
				continue
			}
			if !strings.Contains(flat(string(source)), flat(m[2])) {
				t.Errorf("%s: not in %s:\n%s", document, m[1], m[2])
			}
		}
	}
	if found == 0 {
		t.Error("no code in any document: has the form changed?")
	}
}

// flat takes the indentation off every line.
func flat(code string) string {
	var b strings.Builder
	b.WriteString("\n")
	for line := range strings.Lines(code) {
		b.WriteString(strings.TrimSpace(line) + "\n")
	}
	return b.String()
}

// TestLinksLeadSomewhere: each link of a document to a file of the project does.
func TestLinksLeadSomewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("once, on a system where names of files have their case, is enough")
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	documents, _ := filepath.Glob("docs/*.md")
	top, _ := filepath.Glob("*.md")
	for _, document := range append(documents, top...) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(document), m[1])); err != nil {
				t.Errorf("%s: %v", document, err)
			}
		}
	}
}
