// Package record keeps the calls of relayed HTTP/2 connections in a file, one
// JSON object a line, and reads them back. docs/record.md describes the format.
package record

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// Format and Version stand in the first line of a record.
const (
	Format  = "grpcpipe-record"
	Version = 1
)

// The events of a record.
const (
	Begin     = "record"     // the first line
	Call      = "call"       // a client has begun a call
	Request   = "request"    // a message of the client
	HalfClose = "half_close" // the client sends no more
	Headers   = "headers"    // the server's headers
	Response  = "response"   // a message of the server
	End       = "end"        // the call has ended with a status
	Reset     = "reset"      // one end has given the call up
	Note      = "note"       // what could not be recorded
)

// Hidden stands in the place of a secret.
const Hidden = "(redacted)"

// A Line is an event of a record. Which fields it has depends on the event.
type Line struct {
	Event string  `json:"event"`
	At    float64 `json:"at_ms"` // since the beginning of the record

	// Of the first line.
	Format  string    `json:"format,omitempty"`
	Version int       `json:"version,omitempty"`
	Started time.Time `json:"started,omitzero"`
	From    string    `json:"from,omitempty"`
	To      string    `json:"to,omitempty"`
	Secrets bool      `json:"secrets,omitempty"` // they are kept

	Connection int    `json:"connection,omitempty"` // from 1 on
	Call       int64  `json:"call,omitempty"`       // from 1 on, over all connections
	Method     string `json:"method,omitempty"`     // without the leading slash
	Authority  string `json:"authority,omitempty"`
	// Headers are those of a call or of the server, or trailers. Values of -bin
	// headers are in base64.
	Headers map[string][]string `json:"headers,omitempty"`

	// Of a message.
	N          int             `json:"n,omitempty"`          // from 1 on, in its direction
	Size       int             `json:"size,omitempty"`       // in bytes, as sent
	Compressed string          `json:"compressed,omitempty"` // the encoding
	Message    json.RawMessage `json:"message,omitempty"`    // in protobuf's JSON
	Raw        []byte          `json:"raw,omitempty"`        // if Message is not all of it
	Redacted   []string        `json:"redacted,omitempty"`   // the fields of Message that were secret
	Why        string          `json:"why,omitempty"`        // there is no Message, or the text of a note

	Status *Status `json:"status,omitempty"`
	By     string  `json:"by,omitempty"` // client, server or connection, of a reset
	Error  string  `json:"error,omitempty"`
}

// A Status is how a call has ended.
type Status struct {
	Code    int    `json:"code"`
	Name    string `json:"name"`
	Message string `json:"message,omitempty"`
}

// A Writer writes a record. Its methods may be called at the same time. The first
// error is kept, and nothing is written after it.
type Writer struct {
	began time.Time

	mu   sync.Mutex
	w    *bufio.Writer
	enc  *json.Encoder
	err  error
	stop chan struct{}
	done chan struct{}
}

// flushInterval is how long a line may stay in memory.
const flushInterval = 250 * time.Millisecond

// NewWriter begins a record with its first line, whose time is now.
func NewWriter(out io.Writer, first Line) *Writer {
	w := &Writer{began: time.Now(), w: bufio.NewWriterSize(out, 256<<10), stop: make(chan struct{}), done: make(chan struct{})}
	w.enc = json.NewEncoder(w.w)
	w.enc.SetEscapeHTML(false)
	first.Event, first.Format, first.Version, first.Started = Begin, Format, Version, w.began.UTC()
	w.Write(first)
	w.keep(w.w.Flush()) // so that what is being written is a record from the beginning
	go w.flush()
	return w
}

func (w *Writer) flush() {
	defer close(w.done)
	tick := time.NewTicker(flushInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			w.mu.Lock()
			w.keep(w.w.Flush())
			w.mu.Unlock()
		case <-w.stop:
			return
		}
	}
}

func (w *Writer) keep(err error) {
	if w.err == nil {
		w.err = err
	}
}

// Write adds a line with the time of now.
func (w *Writer) Write(l Line) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return
	}
	if l.Event != Begin {
		l.At = float64(time.Since(w.began).Microseconds()) / 1e3
	}
	w.keep(w.enc.Encode(l))
}

// Close writes what is left and returns the first error.
func (w *Writer) Close() error {
	close(w.stop)
	<-w.done
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(w.w.Flush())
	return w.err
}

// A Reader reads a record.
type Reader struct {
	Name  string // of the file, for errors
	First Line

	in   *bufio.Reader
	line int
}

// maxLine bounds a line: a message of the largest size that is kept, as JSON.
const maxLine = 16 * maxMessage

// NewReader reads the first line.
func NewReader(name string, in io.Reader) (*Reader, error) {
	r := &Reader{Name: name, in: bufio.NewReaderSize(inspect.Text(in), 256<<10)}
	first, err := r.Next()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s: it is empty", name)
	case err != nil:
		return nil, err
	case first.Event != Begin || first.Format != Format:
		return nil, fmt.Errorf("%s: line 1: this is not a record that grpcpipe proxy --record has made", name)
	case first.Version != Version:
		return nil, fmt.Errorf("%s: line 1: the record has version %d, and this program reads %d", name, first.Version, Version)
	}
	r.First = *first
	return r, nil
}

// Next returns the next line, io.EOF at the end. A last line that is cut off, as a
// record has it that is still being written, is the end too.
func (r *Reader) Next() (*Line, error) {
	for {
		text, err := r.text()
		r.line++
		switch {
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("%s: line %d: %w", r.Name, r.line, err)
		case len(bytes.TrimSpace(text)) == 0:
			continue
		}
		l := &Line{}
		if err := json.Unmarshal(text, l); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", r.Name, r.line, err)
		}
		if l.Event == "" {
			return nil, fmt.Errorf("%s: line %d: it has no event", r.Name, r.line)
		}
		return l, nil
	}
}

// Line is the number of the line that Next has returned last.
func (r *Reader) Line() int { return r.line }

// text is the next line without its end.
func (r *Reader) text() ([]byte, error) {
	var whole []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if err == nil && whole == nil {
			return part, nil
		}
		if whole = append(whole, part...); len(whole) > maxLine {
			return nil, fmt.Errorf("it is longer than %d bytes", maxLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return whole, err
		}
	}
}

// Check reads a record to its end and reports the first line that is not one of a
// record: whoever replays it wants to know before the first call.
func Check(name string, in io.Reader) error {
	r, err := NewReader(name, in)
	if err != nil {
		return err
	}
	open := map[int64]bool{}
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch l.Event {
		case Call:
			if open[l.Call] {
				return fmt.Errorf("%s: line %d: call %d begins twice", name, r.line, l.Call)
			}
			open[l.Call] = true
		case Request, HalfClose, Headers, Response, End, Reset:
			if !open[l.Call] {
				return fmt.Errorf("%s: line %d: call %d has not begun, or is over", name, r.line, l.Call)
			}
			if l.Event == End || l.Event == Reset {
				delete(open, l.Call)
			}
		}
	}
}
