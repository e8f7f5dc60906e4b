package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// compact takes the white space out of JSON; protojson varies it, so
// that nobody relies on it.
func compact(b []byte) []byte {
	var out bytes.Buffer
	if json.Compact(&out, b) != nil {
		return b
	}
	return out.Bytes()
}

// indented is JSON for people.
func indented(b []byte) []byte {
	var out bytes.Buffer
	if json.Indent(&out, compact(b), "", "  ") != nil {
		return b
	}
	return out.Bytes()
}

// printJSON writes one value on one line.
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return internal(err)
	}
	return nil
}

// printEvent writes one line of JSON on standard error, where nobody can be told
// that it fails.
func (a *app) printEvent(event string, v map[string]any) {
	v["event"] = event
	e := json.NewEncoder(a.stderr)
	e.SetEscapeHTML(false)
	e.Encode(v)
}

func (a *app) json() bool { return a.output == "json" }

// isTerminal reports whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// wantsColor reports whether w gets escape sequences: by --color, then NO_COLOR
// (https://no-color.org), then whether w is a terminal that understands them.
func (a *app) wantsColor(w io.Writer) bool {
	switch {
	case a.color == "always":
		return true
	case a.color == "never", os.Getenv("NO_COLOR") != "", os.Getenv("TERM") == "dumb", a.json():
		return false
	}
	return isTerminal(w) && enableEscapes(w)
}

// width is the number of columns of the terminal w.
func width(w any) int {
	if f, ok := w.(*os.File); ok {
		if n, _, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return 80
}

// A painter colors text, or doesn't.
type painter bool

func (p painter) paint(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p painter) bold(s string) string   { return p.paint("1", s) }
func (p painter) dim(s string) string    { return p.paint("2", s) }
func (p painter) red(s string) string    { return p.paint("31", s) }
func (p painter) green(s string) string  { return p.paint("32", s) }
func (p painter) yellow(s string) string { return p.paint("33", s) }

// span is a time as a person wants to read it.
func span(d time.Duration) string {
	switch {
	case d < 10*time.Microsecond:
		return d.String()
	case d < time.Millisecond:
		return d.Round(time.Microsecond).String()
	case d < time.Second:
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Millisecond).String()
}

// ms is a time in JSON: milliseconds.
func ms(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// height is the number of lines of the terminal w.
func height(w any) int {
	if f, ok := w.(*os.File); ok {
		if _, n, err := term.GetSize(int(f.Fd())); err == nil && n > 0 {
			return n
		}
	}
	return 24
}
