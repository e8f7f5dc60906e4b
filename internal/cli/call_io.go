package cli

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// requests reads requests, JSON values one after the other.
type requests struct {
	name  string // for errors
	given bool   // by the user
	stdin bool
	file  io.Closer
	dec   *json.Decoder
	n     int
}

// openRequests opens what -d names.
func (a *app) openRequests(data string) (*requests, error) {
	r := &requests{name: "-d", given: data != ""}
	switch name, isFile := strings.CutPrefix(data, "@"); {
	case !isFile:
		r.dec = json.NewDecoder(strings.NewReader(data))
	case name == "-":
		r.name, r.stdin = "standard input", true
		r.dec = json.NewDecoder(a.stdin)
	case name == "":
		return nil, usage("-d @: the file's name is missing: write -d @FILE, or -d @- for standard input")
	default:
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("-d: %w", err)
		}
		r.name, r.file, r.dec = name, f, json.NewDecoder(f)
	}
	return r, nil
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
	case errors.Is(err, io.ErrUnexpectedEOF):
		return usage("%s: request %d is cut off: close its braces and quotes", r.name, r.n+1)
	case errors.As(err, &syntax):
		return usage("%s: request %d is not JSON: %v at byte %d: write it as {\"field\": \"value\"}, in cmd.exe with \\\" for each quote, or use -d @FILE", r.name, r.n+1, err, syntax.Offset)
	}
	return usage("%s: %w", r.name, err)
}

var unknownField = regexp.MustCompile(`unknown field "([^"]*)"`)

// unfit explains JSON that isn't the message it should be.
func (r *requests) unfit(md protoreflect.MessageDescriptor, err error) error {
	// protojson puts a space of either kind behind its prefix, so that nobody
	// relies on the text.
	text := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto:"))
	hint := fmt.Sprintf("`grpcpipe describe TARGET %s` shows its fields", md.FullName())
	if found := unknownField.FindStringSubmatch(text); found != nil {
		if near := nearest(found[1], fieldNames(md, nil), 2); len(near) > 0 {
			hint = fmt.Sprintf("did you mean %q?", strings.Join(near, `" or "`))
		}
	}
	return usage("%s: request %d is no %s: %s: %s", r.name, r.n, md.FullName(), text, hint)
}

// fieldNames are the JSON names of the fields of a message and those in it.
func fieldNames(md protoreflect.MessageDescriptor, seen []protoreflect.FullName) []string {
	if slices.Contains(seen, md.FullName()) || len(seen) > maxDepth {
		return nil
	}
	seen = append(seen, md.FullName())
	var names []string
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		names = append(names, fd.JSONName())
		if m := fieldMessage(fd); m != nil {
			names = append(names, fieldNames(m, seen)...)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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

// parseHeaders reads the -H flags.
func parseHeaders(headers []string) (metadata.MD, error) {
	md := metadata.MD{}
	for _, h := range headers {
		name, value, found := strings.Cut(h, ":")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		switch {
		case !found || name == "":
			return nil, usage("-H %q: write -H 'name: value'", h)
		case strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_-.") != "":
			return nil, usage("-H %q: a header's name has letters, digits, and _ - . only", h)
		case name == "content-type", name == "te", name == "user-agent":
			return nil, usage("-H %q: gRPC sends %s itself and would drop this one: leave it out", h, name)
		case strings.HasPrefix(name, "grpc-"):
			return nil, usage("-H %q: names that begin with grpc- are gRPC's own: choose another, or for grpc-timeout use --deadline", h)
		}
		if strings.HasSuffix(name, "-bin") {
			b, err := decodeBase64(value)
			if err != nil {
				return nil, usage("-H %q: the value of a -bin header is written in base64: %w", h, err)
			}
			value = string(b)
		} else if i := strings.IndexFunc(value, func(r rune) bool { return r < ' ' || r > '~' }); i >= 0 {
			return nil, usage("-H %q: a header's value is printable ASCII: send other bytes in a header whose name ends in -bin, in base64", h)
		}
		md.Append(name, value)
	}
	return md, nil
}

func decodeBase64(s string) ([]byte, error) {
	s = strings.TrimRight(s, "=")
	if strings.ContainsAny(s, "-_") {
		return base64.RawURLEncoding.DecodeString(s)
	}
	return base64.RawStdEncoding.DecodeString(s)
}

// headerLines are headers as lines, in order of their names.
func headerLines(md metadata.MD) []string {
	var lines []string
	for name, values := range headersJSON(md) {
		for _, v := range values {
			lines = append(lines, oneLine(name+": "+v))
		}
	}
	slices.Sort(lines)
	return lines
}

// headersJSON are headers as text: binary ones in base64.
func headersJSON(md metadata.MD) map[string][]string {
	out := map[string][]string{}
	for name, values := range md {
		for _, v := range values {
			if strings.HasSuffix(name, "-bin") {
				v = base64.StdEncoding.EncodeToString([]byte(v))
			}
			out[name] = append(out[name], v)
		}
	}
	return out
}
