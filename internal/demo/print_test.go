package demo

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// With -o json each line of the report is an object, and none is lost.
func TestPrintJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := &printer{w: &out, json: true}
	p.title("a title")
	p.pair("pipe", "/x")
	p.head("Calls")
	p.row("unary", "left", "right")
	p.sides("stream", shown{client: "c", server: "s"})
	p.end(time.Second)
	var names, sections []string
	for line := range bytes.Lines(out.Bytes()) {
		var o struct{ Name, Section string }
		if err := json.Unmarshal(line, &o); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		names, sections = append(names, o.Name), append(sections, o.Section)
	}
	if p.err != nil || len(names) != 5 || names[2] != "unary" || sections[2] != "Calls" || sections[4] != "" {
		t.Errorf("%q in %q, %v", names, sections, p.err)
	}
}
