package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// requests reads requests, JSON values one after the other.
type requests struct {
	name   string // for errors
	target string
	given  bool // by the user
	stdin  bool
	file   io.Closer
	dec    *json.Decoder
	n      int
}

// openRequests opens what -d names. The end of ctx ends the wait for standard
// input.
func (a *app) openRequests(ctx context.Context, data string) (*requests, error) {
	r := &requests{name: "-d", given: data != ""}
	switch name, isFile := strings.CutPrefix(data, "@"); {
	case data == "-":
		return nil, usage("-d -: write -d @- for standard input")
	case !isFile:
		r.dec = json.NewDecoder(strings.NewReader(data))
	case name == "-":
		r.name, r.stdin = "standard input", true
		r.dec = json.NewDecoder(inspect.Text(&interruptible{ctx, a.stdin}))
	case name == "":
		return nil, usage("-d @: the file's name is missing: write -d @FILE, or -d @- for standard input")
	default:
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("-d: %w", err)
		}
		r.name, r.file, r.dec = name, f, json.NewDecoder(inspect.Text(f))
	}
	return r, nil
}

// An interruptible reader stops waiting when its context ends. A read can't be
// taken back: it is left behind.
type interruptible struct {
	ctx context.Context
	in  io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	buf, done := make([]byte, len(p)), make(chan result, 1)
	go func() {
		n, err := r.in.Read(buf)
		done <- result{n, err}
	}()
	select {
	case got := <-done:
		return copy(p, buf[:got.n]), got.err
	case <-r.ctx.Done():
		return 0, r.ctx.Err()
	}
}

func (r *requests) close() {
	if r.file != nil {
		r.file.Close()
	}
}

// atEnd tells whether what has been read already is all white space, so that
// asking for more could wait for ever.
func (r *requests) atEnd() bool {
	b, err := io.ReadAll(r.dec.Buffered())
	return err != nil || len(bytes.TrimSpace(b)) > 0
}

// next reads the next request into m; io.EOF if there is none.
func (r *requests) next(m *dynamicpb.Message, types protoresolve.SerializationResolver) error {
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return r.badJSON(err)
	}
	r.n++
	opts := protojson.UnmarshalOptions{Resolver: types}
	if err := opts.Unmarshal(raw, m); err != nil {
		return r.unfit(m.Descriptor(), err)
	}
	return nil
}

func (r *requests) badJSON(err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.Is(err, context.Canceled):
		return internal(errors.New("interrupted"))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return usage("%s: request %d is cut off: close its braces and quotes", r.name, r.n+1)
	case errors.As(err, &syntax):
		return usage("%s: request %d is not JSON: %v at byte %d: write it as {\"field\": \"value\"}, in cmd.exe with \\\" for each quote, or use -d @FILE", r.name, r.n+1, err, syntax.Offset)
	}
	return usage("%s: %w", r.name, err)
}

var (
	unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)
	badEnum      = regexp.MustCompile(`invalid value for enum field (\S+): "?([^"]*)"?$`)
)

// unfit explains JSON that isn't the message it should be.
func (r *requests) unfit(md protoreflect.MessageDescriptor, err error) error {
	// protojson puts a space of either kind behind its prefix, so that nobody
	// relies on the text.
	text := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto:"))
	hint := fmt.Sprintf("`grpcpipe describe %s %s` shows its fields", cmp.Or(r.target, "TARGET"), md.FullName())
	if found := unknownField.FindStringSubmatch(text); found != nil {
		if near := inspect.Nearest(found[1], fieldNames(md), 2); len(near) > 0 {
			hint = "did you mean " + quoted(near) + "?"
		}
	}
	if found := badEnum.FindStringSubmatch(text); found != nil {
		if values := enumValues(md, found[1]); len(values) > 0 {
			hint = "write one of " + strings.Join(values, ", ")
			if near := inspect.Nearest(found[2], values, 2); len(near) > 0 {
				hint = "did you mean " + quoted(near) + "?"
			}
		}
	}
	return &failure{exit: exitUsage, err: fmt.Errorf("%s: request %d is not a valid %s: %s", r.name, r.n, md.FullName(), text), hint: hint}
}

// quoted are names in quotes with "or" between them.
func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, " or ")
}

// enumValues are the values of the enum in a field of a message or of one in it.
func enumValues(md protoreflect.MessageDescriptor, field string) []string {
	var values []string
	eachField(md, nil, func(fd protoreflect.FieldDescriptor) {
		if fd.Enum() != nil && (fd.JSONName() == field || string(fd.Name()) == field) {
			for i := range fd.Enum().Values().Len() {
				values = append(values, string(fd.Enum().Values().Get(i).Name()))
			}
		}
	})
	slices.Sort(values)
	return slices.Compact(values)
}

// fieldNames are the JSON names of the fields of a message and those in it.
func fieldNames(md protoreflect.MessageDescriptor) []string {
	var names []string
	eachField(md, nil, func(fd protoreflect.FieldDescriptor) { names = append(names, fd.JSONName()) })
	slices.Sort(names)
	return slices.Compact(names)
}

// eachField calls f with the fields of a message and those in it.
func eachField(md protoreflect.MessageDescriptor, seen []protoreflect.FullName, f func(protoreflect.FieldDescriptor)) {
	if slices.Contains(seen, md.FullName()) || len(seen) > inspect.MaxDepth {
		return
	}
	seen = append(seen, md.FullName())
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		f(fd)
		if m := inspect.FieldMessage(fd); m != nil {
			eachField(m, seen, f)
		}
	}
}

// A messagePrinter writes responses, or keeps them.
type messagePrinter struct {
	app      *app
	types    protoresolve.SerializationResolver
	lines    bool // one a line
	keep     bool
	defaults bool
	kept     []json.RawMessage
}

func (p *messagePrinter) print(m proto.Message) error {
	opts := protojson.MarshalOptions{Resolver: p.types, EmitDefaultValues: p.defaults}
	b, err := opts.Marshal(m)
	if err != nil {
		return internal(fmt.Errorf("the response can't be shown as JSON: %w", err))
	}
	switch {
	case p.keep:
		p.kept = append(p.kept, compact(b))
		return nil
	case p.lines:
		b = compact(b)
	default:
		b = indented(b)
	}
	if _, err := p.app.stdout.Write(append(b, '\n')); err != nil {
		return internal(err)
	}
	return nil
}
