package grpcpipe_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// fence finds a block of Go or C# in a document, with the line before it, which
// must refer to a part of a source.
var fence = regexp.MustCompile("(?m)^(.*)\n```(?:go|csharp)\n((?s:.*?))\n```$")

var snippetLine = regexp.MustCompile(`^<!-- snippet: ([^ #]+)#([^ ]+) -->$`)

// TestDocumentsCompile: the code in the documents is code that is compiled, and
// run by the tests.
func TestDocumentsCompile(t *testing.T) {
	documents, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, document := range append(documents, "README.md") {
		b, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(b), "\r\n", "\n")
		for _, m := range fence.FindAllStringSubmatch(text, -1) {
			found++
			from := snippetLine.FindStringSubmatch(m[1])
			if from == nil {
				t.Errorf("%s: code of no source:\n%s", document, m[2])
				continue
			}
			want, err := snippet(filepath.FromSlash(from[1]), from[2])
			if err != nil {
				t.Errorf("%s: %v", document, err)
			} else if m[2] != want {
				t.Errorf("%s: %s#%s is\n%s\n\nin the document and\n\n%s\n\nin the source", document, from[1], from[2], m[2], want)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d pieces of code in all documents: has the form changed?", found)
	}
}

// snippet returns the lines of a source between "// snippet: name" and
// "// end snippet", as far to the left as they go.
func snippet(file, name string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	var lines []string
	inside, indent := false, ""
	for line := range strings.Lines(strings.ReplaceAll(string(b), "\r\n", "\n")) {
		line = strings.TrimSuffix(line, "\n")
		text := strings.TrimLeft(line, " \t")
		switch {
		case text == "// snippet: "+name:
			inside, indent = true, line[:len(line)-len(text)]
		case inside && text == "// end snippet":
			return strings.Trim(strings.Join(lines, "\n"), "\n"), nil
		case inside:
			lines = append(lines, strings.TrimPrefix(line, indent))
		}
	}
	return "", fmt.Errorf("%s has no snippet %q", file, name)
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

// TestMapIsComplete: the map in CONTRIBUTING.md names each folder, and no other.
func TestMapIsComplete(t *testing.T) {
	text, err := os.ReadFile("CONTRIBUTING.md")
	if err != nil {
		t.Fatal(err)
	}
	_, part, _ := strings.Cut(string(text), "## Where things are")
	part, _, _ = strings.Cut(part, "\n## ")
	named := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[^|]*`) \\|").FindAllStringSubmatch(part, -1) {
		for _, name := range strings.Split(row[1], ", ") {
			name = strings.Trim(name, "`/")
			named[name] = true
			if info, err := os.Stat(name); err != nil || !info.IsDir() {
				t.Errorf("the map names %s, which is no folder", name)
			}
		}
	}
	ignored, err := os.ReadFile(".gitignore")
	if err != nil {
		t.Fatal(err)
	}
	for _, parent := range []string{".", "internal", "internal/testing"} {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			name := path.Join(parent, e.Name())
			if !e.IsDir() || name[0] == '.' || name == "internal" || name == "internal/testing" {
				continue
			}
			if !named[name] && !strings.Contains(string(ignored), "/"+name+"/\n") {
				t.Errorf("the map lacks %s/", name)
			}
		}
	}
}
