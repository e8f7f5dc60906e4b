package seen

import (
	"fmt"
	"slices"
	"strings"
)

// The cells that are no result.
const (
	notSeen = "not seen"
	nothing = "—" // there is no such thing on the system
	yes     = "seen"
)

// begin and end are the lines around a table in the document.
func begin(s Section) string {
	return fmt.Sprintf("<!-- table %s: made by go run ./interop/table -->", s)
}
func end(s Section) string { return fmt.Sprintf("<!-- end of table %s -->", s) }

// Fill puts the tables made from the results into the document, each between
// its two lines.
func Fill(doc string, results []Result) (string, error) {
	for _, s := range Sections {
		before, rest, ok := strings.Cut(doc, begin(s)+"\n")
		_, after, ok2 := strings.Cut(rest, end(s)+"\n")
		if !ok || !ok2 {
			return "", fmt.Errorf("the document has no table %q: it needs the lines %q and %q", s, begin(s), end(s))
		}
		doc = before + begin(s) + "\n" + table(s, results) + end(s) + "\n" + after
	}
	return doc, nil
}

func table(s Section, results []Result) string {
	var b strings.Builder
	b.WriteString("| what | test |")
	for _, c := range Columns {
		fmt.Fprintf(&b, " %s |", c.title())
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(Columns)) + "\n")
	for _, row := range Rows {
		if row.Section != s {
			continue
		}
		fmt.Fprintf(&b, "%s", row.head())
		for _, c := range Columns {
			fmt.Fprintf(&b, " %s |", cell(row, c, results))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// head is the part of a row that is the same whatever was seen.
func (r RowInfo) head() string { return fmt.Sprintf("| %s | %s |", r.Text, r.Test) }

// has reports whether there is such a thing in the column.
func (r RowInfo) has(c Column) bool {
	return (len(r.Only) == 0 || slices.Contains(r.Only, c.System)) && (r.Engine == "" || r.Engine == c.Engine)
}

// cell is what the results say about a row in a column. One failure outweighs
// everything, and a skip is no pass.
func cell(row RowInfo, c Column, results []Result) string {
	if !row.has(c) {
		return nothing
	}
	out := notSeen
	for _, r := range results {
		if r.Row != row.ID || r.System != c.System || r.Engine != c.Engine {
			continue
		}
		switch r.What {
		case Fail:
			return "**FAILS**"
		case Pass:
			out = yes
			if r.Said != "" {
				out = r.Said
			}
		}
	}
	return out
}

// Check compares the tables in the document with the declared rows. A row that
// no test could have made, or that is missing, is an error, and so is a cell
// for Windows itself, or any cell that shows a failure, when it isn't what the
// tests can say.
func Check(doc string) error {
	for _, s := range Sections {
		_, rest, ok := strings.Cut(doc, begin(s)+"\n")
		body, _, ok2 := strings.Cut(rest, end(s)+"\n")
		if !ok || !ok2 {
			return fmt.Errorf("the document has no table %q", s)
		}
		lines := strings.Split(strings.TrimSuffix(body, "\n"), "\n")
		want := strings.Split(strings.TrimSuffix(table(s, nil), "\n"), "\n")
		if len(lines) != len(want) {
			return fmt.Errorf("table %s has %d lines, and the declared rows make %d", s, len(lines), len(want))
		}
		i := 2
		for _, row := range Rows {
			if row.Section != s {
				continue
			}
			if err := checkRow(row, lines[i]); err != nil {
				return fmt.Errorf("table %s: %w", s, err)
			}
			i++
		}
	}
	return nil
}

func checkRow(row RowInfo, line string) error {
	cells, ok := strings.CutPrefix(line, row.head())
	if !ok {
		return fmt.Errorf("got the row %q, want %q", line, row.head())
	}
	got := strings.Split(strings.TrimSuffix(cells, "|"), "|")
	if len(got) != len(Columns) {
		return fmt.Errorf("row %q has %d cells, want %d", row.ID, len(got), len(Columns))
	}
	for i, column := range Columns {
		c := strings.TrimSpace(got[i])
		if (c == nothing) == row.has(column) {
			return fmt.Errorf("row %q, %s: got %q, which is not what the rows declare", row.ID, column.title(), c)
		}
		if c == "**FAILS**" || c == "" {
			return fmt.Errorf("row %q, %s: %q is not to be published", row.ID, column.title(), c)
		}
	}
	return nil
}
