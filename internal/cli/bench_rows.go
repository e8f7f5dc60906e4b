package cli

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// rows are the rows of a file of CSV or of JSON objects.
type rows struct {
	name    string
	target  string   // for hints
	columns []string // of CSV
	rows    []map[string]any
	texts   [][]byte // of JSON
	lines   []int
}

// where names a row in an error.
func (r *rows) where(i int) string { return fmt.Sprintf("%s: line %d", r.name, r.lines[i]) }

// readRows reads a file, whose name says what it is.
func readRows(path string) (*rows, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, usage("--rows: %w", err)
	}
	defer f.Close()
	r := &rows{name: path}
	in := bufio.NewReader(inspect.Text(f))
	if strings.EqualFold(filepath.Ext(path), ".csv") {
		err = r.readCSV(in)
	} else {
		err = r.readJSON(in)
	}
	switch {
	case err != nil:
		return nil, err
	case len(r.rows) == 0:
		return nil, usage("--rows %s: it has no rows", path)
	}
	return r, nil
}

func (r *rows) add(line int, row map[string]any) error {
	r.rows, r.lines = append(r.rows, row), append(r.lines, line)
	if len(r.rows) > maxRequests {
		return usage("--rows %s: it has more than %d rows: split it", r.name, maxRequests)
	}
	return nil
}

// readCSV reads CSV. Some programs write it with semicolons or tabs: the first
// line shows which.
func (r *rows) readCSV(in *bufio.Reader) error {
	head, _ := in.Peek(in.Size())
	head, _, _ = bytes.Cut(head, []byte("\n"))
	c := csv.NewReader(in)
	for _, comma := range ";\t" {
		if !bytes.ContainsRune(head, ',') && bytes.ContainsRune(head, comma) {
			c.Comma = comma
		}
	}
	var err error
	if r.columns, err = c.Read(); err != nil {
		if errors.Is(err, io.EOF) {
			return usage("--rows %s: it is empty: write the names of fields in its first line", r.name)
		}
		return r.badCSV(err)
	}
	seen := map[string]bool{}
	for i, name := range r.columns {
		r.columns[i] = strings.TrimSpace(name)
		if r.columns[i] == "" || seen[r.columns[i]] {
			return usage("%s: line 1, column %d: the name of a field is missing, or there twice", r.name, i+1)
		}
		seen[r.columns[i]] = true
	}
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return r.badCSV(err)
		}
		line, _ := c.FieldPos(0)
		row := map[string]any{}
		for i, cell := range record {
			row[r.columns[i]] = cell
		}
		if err := r.add(line, row); err != nil {
			return err
		}
	}
}

func (r *rows) badCSV(err error) error {
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return usage("%s: line %d, column %d: %w", r.name, parse.Line, parse.Column, parse.Err)
	}
	return usage("--rows %s: %w", r.name, err)
}

// readJSON reads objects, one a line; empty lines don't count.
func (r *rows) readJSON(in *bufio.Reader) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxText)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		row := map[string]any{}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&row); err != nil {
			return usage("%s: line %d: not a JSON object: %w", r.name, n, err)
		}
		if d.More() {
			return usage("%s: line %d: more than one JSON object: write one a line", r.name, n)
		}
		r.texts = append(r.texts, bytes.Clone(text))
		if err := r.add(n, row); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return usage("--rows %s: %w", r.name, err)
	}
	return nil
}

// request is row i as a request in JSON. Empty cells of CSV are left out.
func (r *rows) request(i int, md protoreflect.MessageDescriptor) ([]byte, error) {
	if r.columns == nil {
		return r.texts[i], nil
	}
	out := map[string]any{}
	for _, column := range r.columns {
		cell := r.rows[i][column].(string)
		parts := strings.Split(column, ".")
		fd, err := r.field(md, parts, column)
		if err != nil {
			return nil, err
		}
		if cell == "" {
			continue
		}
		at := out
		for _, part := range parts[:len(parts)-1] {
			inner, ok := at[part].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[part] = inner
			}
			at = inner
		}
		at[parts[len(parts)-1]] = cellValue(fd, cell)
	}
	return json.Marshal(out)
}

// field finds the field that a column names.
func (r *rows) field(md protoreflect.MessageDescriptor, parts []string, column string) (fd protoreflect.FieldDescriptor, err error) {
	for i, part := range parts {
		if md == nil {
			return nil, usage("%s: line 1: column %q: %s is not a message", r.name, column, strings.Join(parts[:i], "."))
		}
		if fd = md.Fields().ByJSONName(part); fd == nil {
			fd = md.Fields().ByTextName(part)
		}
		if fd == nil {
			hint := fmt.Sprintf("`grpcpipe describe %s %s` shows its fields", r.target, md.FullName())
			if near := inspect.Nearest(part, fieldNames(md), 2); len(near) > 0 {
				hint = "did you mean " + quoted(near) + "?"
			}
			return nil, usageThen(hint, "%s: line 1: column %q: %s has no field %q", r.name, column, md.FullName(), part)
		}
		if md = fd.Message(); fd.IsList() || fd.IsMap() {
			md = nil
		}
	}
	return fd, nil
}

// cellValue is a cell as protojson takes it: numbers may be in quotes there.
func cellValue(fd protoreflect.FieldDescriptor, cell string) any {
	structured := fd.IsList() || fd.IsMap() || fd.Message() != nil
	number := fd.Enum() != nil && strings.Trim(cell, "0123456789") == ""
	truth := fd.Kind() == protoreflect.BoolKind && (cell == "true" || cell == "false")
	if (structured || number || truth) && json.Valid([]byte(cell)) {
		return json.RawMessage(cell)
	}
	return cell
}
