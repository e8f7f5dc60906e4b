package interop_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// snippetLine refers to a part of a source, for the block of code after it.
var snippetLine = regexp.MustCompile("(?m)^<!-- snippet: ([^ #]+)#([^ ]+) -->\n```[a-z]+\n((?s:.*?))\n```$")

// The code in the documents is the code that the tests run.
func TestSnippets(t *testing.T) {
	for _, name := range []string{"from-dotnet.md", "from-node.md"} {
		b, err := os.ReadFile(filepath.Join("..", "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		doc := strings.ReplaceAll(string(b), "\r\n", "\n")
		found := snippetLine.FindAllStringSubmatch(doc, -1)
		if len(found) < 3 || len(found) != strings.Count(doc, "<!-- snippet:") {
			t.Errorf("%s: %d snippets are well formed of %d", name, len(found), strings.Count(doc, "<!-- snippet:"))
		}
		for _, m := range found {
			want, err := snippet(filepath.Join("..", filepath.FromSlash(m[1])), m[2])
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if m[3] != want {
				t.Errorf("%s: %s#%s is\n%s\n\nin the document and\n\n%s\n\nin the source", name, m[1], m[2], m[3], want)
			}
		}
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
			return strings.TrimRight(strings.Join(lines, "\n"), "\n"), nil
		case inside:
			lines = append(lines, strings.TrimPrefix(line, indent))
		}
	}
	return "", fmt.Errorf("%s has no snippet %q", file, name)
}
