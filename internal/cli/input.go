package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/jhump/protoreflect/v2/protoresolve"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// separator stands between messages in the text format, as in grpcurl.
const separator = 0x1e

// maxText bounds a request in the text format.
const maxText = 1 << 30

// dataFlags are the flags for requests.
type dataFlags struct {
	data         string
	format       string
	allowUnknown bool
	gzip         bool
}

func (f *dataFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVarP(&f.data, "data", "d", "", "request or requests: JSON, @FILE, or @- for standard input")
	flags.StringVar(&f.format, "format", "json", "form of requests and responses: json, or text for protobuf's text format, with the character 0x1E between messages")
	flags.BoolVar(&f.allowUnknown, "allow-unknown-fields", false, "ignore fields of requests that the message doesn't have")
	flags.BoolVar(&f.gzip, "gzip", false, "compress requests")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"json", "text"}, cobra.ShellCompDirectiveNoFileComp))
}

func (f *dataFlags) check() error {
	if f.format != "json" && f.format != "text" {
		return usage("--format %q: write json or text", f.format)
	}
	return nil
}

// options are the options of each call.
func (f *dataFlags) options() []grpc.CallOption {
	if f.gzip {
		return []grpc.CallOption{grpc.UseCompressor(gzip.Name)}
	}
	return nil
}

// requests reads requests, one after the other.
type requests struct {
	name   string // for errors
	target string
	given  bool // by the user
	stdin  bool
	file   io.Closer
	flags  dataFlags
	n      int

	source io.ReadSeeker // of in, if it can be read again
	in     io.Reader
	dec    *json.Decoder  // of JSON
	text   *bufio.Scanner // of the text format
}

// openRequests opens what -d names. The end of ctx ends the wait for standard
// input.
func (a *app) openRequests(ctx context.Context, flags dataFlags) (*requests, error) {
	if err := flags.check(); err != nil {
		return nil, err
	}
	r := &requests{name: "-d", given: flags.data != "", flags: flags}
	var in io.Reader
	switch name, isFile := strings.CutPrefix(flags.data, "@"); {
	case flags.data == "-":
		return nil, usage("-d -: write -d @- for standard input")
	case !isFile:
		r.source = strings.NewReader(flags.data)
	case name == "-":
		r.name, r.stdin = "standard input", true
		in = inspect.Text(&interruptible{ctx, a.stdin})
	case name == "":
		return nil, usage("-d @: the file's name is missing: write -d @FILE, or -d @- for standard input")
	default:
		f, err := os.Open(name)
		if err != nil {
			return nil, usage("-d: %w", err)
		}
		r.name, r.file, in = name, f, inspect.Text(f)
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			r.source = f
		}
	}
	if r.source != nil {
		in = inspect.Text(r.source)
	}
	r.decode(in)
	return r, nil
}

// decode begins to read requests from in.
func (r *requests) decode(in io.Reader) {
	r.in, r.n = in, 0
	if r.flags.format == "json" {
		r.dec = json.NewDecoder(in)
		return
	}
	r.text = bufio.NewScanner(in)
	r.text.Buffer(nil, maxText)
	r.text.Split(splitText)
}

// check reads all requests and begins again, so that no call begins whose last
// request is wrong. Standard input is sent as it comes.
func (r *requests) check(md protoreflect.MessageDescriptor, types protoresolve.SerializationResolver) error {
	if r.source == nil {
		return nil
	}
	for {
		err := r.next(dynamicpb.NewMessage(md), types)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
	}
	if _, err := r.source.Seek(0, io.SeekStart); err != nil {
		return usage("%s: %w", r.name, err)
	}
	r.decode(inspect.Text(r.source))
	return nil
}

// splitText splits at separators. What is empty is a message too, unless there
// is nothing but that.
func splitText(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, separator); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
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

// hasMore reports whether something that has been read already is left, so that
// asking for more doesn't wait.
func (r *requests) hasMore() bool {
	if r.dec == nil {
		return false
	}
	b, err := io.ReadAll(r.dec.Buffered())
	return err != nil || len(bytes.TrimSpace(b)) > 0
}

// next reads the next request into m; io.EOF if there is none.
func (r *requests) next(m *dynamicpb.Message, types protoresolve.SerializationResolver) error {
	if r.text != nil {
		return r.nextText(m, types)
	}
	var raw json.RawMessage
	if err := r.dec.Decode(&raw); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return r.badJSON(err)
	}
	r.n++
	opts := protojson.UnmarshalOptions{Resolver: types, DiscardUnknown: r.flags.allowUnknown}
	if err := opts.Unmarshal(raw, m); err != nil {
		return r.unfit(m.Descriptor(), err)
	}
	return nil
}

func (r *requests) nextText(m *dynamicpb.Message, types protoresolve.SerializationResolver) error {
	if !r.text.Scan() {
		if err := r.text.Err(); err != nil {
			return r.badJSON(err)
		}
		return io.EOF
	}
	r.n++
	opts := prototext.UnmarshalOptions{Resolver: types, DiscardUnknown: r.flags.allowUnknown}
	if err := opts.Unmarshal(r.text.Bytes(), m); err != nil {
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
