package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// A printer writes the report in columns, or as one JSON object per line. After
// its first error, which it keeps, it writes nothing.
type printer struct {
	w       io.Writer
	color   bool
	json    bool
	section string
	err     error
}

// object writes a line of the report as JSON.
func (p *printer) object(name string, fields ...any) {
	if p.err != nil {
		return
	}
	o := map[string]any{"name": name}
	if p.section != "" {
		o["section"] = p.section
	}
	for i := 0; i < len(fields); i += 2 {
		o[fields[i].(string)] = fields[i+1]
	}
	p.err = json.NewEncoder(p.w).Encode(o)
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

// style wraps text, already padded, in an escape sequence if color is allowed.
func (p *printer) style(code, text string) string {
	if !p.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

const (
	bold  = "1"
	faint = "2"
	green = "32"
)

func (p *printer) title(text string) {
	if p.json {
		p.object("title", "text", text)
		return
	}
	p.printf("%s\n\n", p.style(bold, text))
}

func (p *printer) pair(name, value string) {
	if p.json {
		p.object(name, "value", value)
		return
	}
	p.printf("  %-18s%s\n", name, value)
}

// head begins a table.
func (p *printer) head(name string) {
	p.section = name
	if !p.json {
		p.printf("\n%s\n", p.style(bold, name))
	}
}

// row adds a line of two columns.
func (p *printer) row(name, left, right string) {
	if p.json {
		p.object(name, "left", left, "right", right)
		return
	}
	p.printf("%s%-14s%s\n", p.name(name), left, right)
}

// sides adds what the client and the server saw.
func (p *printer) sides(name string, s shown) {
	if p.json {
		p.object(name, "client", s.client, "server", s.server)
		return
	}
	p.printf("%s%s%s\n", p.name(name), p.style(faint, "client  "), s.client)
	p.printf("%s%s%s\n", p.name(""), p.style(faint, "server  "), s.server)
}

func (p *printer) name(name string) string { return fmt.Sprintf("  %-18s", name) }

func (p *printer) end(took time.Duration) {
	if p.json {
		p.section = ""
		p.object("end", "ok", true, "seconds", took.Seconds())
		return
	}
	p.printf("\n%s\n", p.style(green, fmt.Sprintf("Everything was as expected, in %.1f s.", took.Seconds())))
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
