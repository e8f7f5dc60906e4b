package demo

import (
	"fmt"
	"io"
	"time"
)

// printer writes the report in columns. Its first error is kept and ends it.
type printer struct {
	w     io.Writer
	color bool
	err   error
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

func (p *printer) title(text string) { p.printf("%s\n\n", p.style(bold, text)) }

func (p *printer) pair(name, value string) { p.printf("  %-18s%s\n", name, value) }

// head begins a table.
func (p *printer) head(name string) { p.printf("\n%s\n", p.style(bold, name)) }

// row adds a line of two columns.
func (p *printer) row(name, left, right string) {
	p.printf("%s%-14s%s\n", p.name(name), left, right)
}

// sides adds what the client and the server saw.
func (p *printer) sides(name string, s shown) {
	p.printf("%s%s%s\n", p.name(name), p.style(faint, "client  "), s.client)
	p.printf("%s%s%s\n", p.name(""), p.style(faint, "server  "), s.server)
}

func (p *printer) name(name string) string { return fmt.Sprintf("  %-18s", name) }

func (p *printer) end(took time.Duration) {
	p.printf("\n%s\n", p.style(green, fmt.Sprintf("Everything was as expected, in %.1f s.", took.Seconds())))
}

func micros(d time.Duration) string {
	return fmt.Sprintf("%.0f µs", float64(d)/float64(time.Microsecond))
}

func millis(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d)/float64(time.Millisecond))
}
