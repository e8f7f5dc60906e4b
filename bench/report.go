package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// report shows results kept in a file, and with -docs puts them into the
// documentation: between the lines <!-- begin NAME --> and <!-- end NAME --> of
// performance.md, and as charts beside it. The words between the tables are
// people's and stay.
func report(o options) error {
	res, err := loadResults(o.report)
	if err != nil {
		return err
	}
	if o.docs == "" {
		res.markdown(os.Stdout)
		return nil
	}
	page := filepath.Join(o.docs, "performance.md")
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	parts := map[string]string{"run": res.about(), "notes": res.notes()}
	for _, s := range res.Systems {
		var ratios, costs, connections bytes.Buffer
		s.ratios(&ratios)
		s.figures(&costs)
		s.connectionTables(&connections)
		parts[s.System+" ratios"] = ratios.String()
		parts[s.System+" costs"] = costs.String()
		parts[s.System+" connections"] = connections.String()
	}
	out := string(text)
	for name, part := range parts {
		out = fill(out, name, part)
	}
	if err := os.WriteFile(page, []byte(out), 0o644); err != nil {
		return err
	}
	return res.charts(filepath.Join(o.docs, "performance"))
}

// fill replaces what stands between a part's two marks, if the page has them.
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

func (r *results) notes() string {
	if len(r.Notes) == 0 {
		return "Nothing was left out."
	}
	return "Not measured: " + strings.Join(r.Notes, "; ") + "."
}

// charts writes an SVG for each group of lines of each system.
func (r *results) charts(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	groups := []struct{ file, title, lines string }{
		{"calls", "Calls", "unary-64/1 unary-64/64 unary-64/64/rich unary-64/512"},
		{"large", "Large messages", "unary-64K/1 receive-64K send-64K send-1M"},
	}
	for _, s := range r.Systems {
		for _, g := range groups {
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
