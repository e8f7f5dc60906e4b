package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// report shows results kept in a file, and with -docs puts them into the
// documentation: all of them into performance/results.md, with charts, and each
// digest between the lines <!-- begin NAME --> and <!-- end NAME --> of
// performance.md, whose other text it leaves alone.
func report(o options) error {
	res, err := loadResults(o.report)
	if err != nil {
		return err
	}
	if o.docs == "" {
		res.markdown(os.Stdout, false)
		return nil
	}
	page := filepath.Join(o.docs, "performance.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	out := fill(string(text), "run", res.about())
	for _, d := range digests {
		var table bytes.Buffer
		if len(res.Systems) > 0 {
			res.Systems[0].digest(&table, d)
		}
		out = fill(out, d.name, table.String())
	}
	if err := os.WriteFile(page, []byte(out), 0o644); err != nil {
		return err
	}
	dir := filepath.Join(o.docs, "performance")
	if err := res.charts(dir); err != nil {
		return err
	}
	var whole bytes.Buffer
	fmt.Fprint(&whole, "# Results\n\nMade by `make bench`; [performance.md](../performance.md) says what they mean.\n\n")
	res.markdown(&whole, true)
	return os.WriteFile(filepath.Join(dir, "results.md"), whole.Bytes(), 0o644)
}

// fill replaces the text between a part's two marks, if the page has them.
func fill(page, name, part string) string {
	from, to := "<!-- begin "+name+" -->", "<!-- end "+name+" -->"
	i := strings.Index(page, from)
	j := strings.Index(page, to)
	if i < 0 || j < i {
		return page
	}
	return page[:i+len(from)] + "\n\n" + strings.TrimSpace(part) + "\n\n" + page[j:]
}

func (r *results) about() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Measured on %s, commit %s: %s. `%s`: %d rounds of %v a line, %v in all.", r.Date, r.Commit, r.Machine, r.Command, r.Rounds, r.Time, r.Took)
	for _, s := range r.Systems {
		fmt.Fprintf(&b, " %s.", strings.ToUpper(s.title()[:1])+s.title()[1:])
	}
	return b.String()
}

// chartGroups are the charts of a system and the lines that each shows.
var chartGroups = []struct{ file, title, lines string }{
	{"calls", "Calls", "unary-64/1 unary-64/64 unary-64/64/rich unary-64/512"},
	{"large", "Large messages", "unary-64K/1 receive-64K send-64K send-1M"},
}

// charts writes an SVG for each group of lines of each system.
func (r *results) charts(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range r.Systems {
		for _, g := range chartGroups {
			svg := s.chart(g.title, strings.Fields(g.lines))
			if svg == "" {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, s.System+"-"+g.file+".svg"), []byte(svg), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
