package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"unicode"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"
)

// Exit statuses of the command.
const (
	exitOK       = 0
	exitInternal = 1
	exitUsage    = 2
	exitConnect  = 3
	exitStatus   = 64 // plus the gRPC code
)

// A failure is an error together with what the command makes of it.
type failure struct {
	exit int
	err  error
	hint string         // what to do about it, if the error doesn't say so
	rpc  *status.Status // of a call that the server has ended
	said bool           // the command has already told the user
}

func (f *failure) Error() string {
	if f.hint == "" {
		return f.err.Error()
	}
	return f.err.Error() + ": " + f.hint
}

// Unwrap gives errors.Is and errors.As what the failure is made of.
func (f *failure) Unwrap() error { return f.err }

// kind is the word for the exit status in JSON.
func (f *failure) kind() string {
	switch {
	case f.exit == exitUsage:
		return "usage"
	case f.exit == exitConnect:
		return "connect"
	case f.exit >= exitStatus:
		return "status"
	}
	return "internal"
}

func usage(format string, args ...any) error {
	return &failure{exit: exitUsage, err: fmt.Errorf(format, args...)}
}

func internal(err error) error { return &failure{exit: exitInternal, err: err} }

func cannotConnect(err error) error { return &failure{exit: exitConnect, err: inFlags(err)} }

// trustWords are the library's words for what this command has a flag for.
var trustWords = strings.NewReplacer(
	"check Trust.PID", "check --server pid=N", "check Trust.Executable", "check --server exe=PATH",
	"name it in Trust.Users", "name it with --server user=NAME", "set Trust.Anyone", "give --server any",
)

// A reworded error has another text, and is made of what it was made of.
type reworded struct {
	error
	text string
}

func (r reworded) Error() string { return r.text }

func (r reworded) Unwrap() error { return r.error }

// inFlags puts the library's advice on whom to trust into the words of a command
// line.
func inFlags(err error) error {
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return reworded{err, trustWords.Replace(err.Error())}
}

// alreadyTold ends the command with a status and without another word.
func alreadyTold(exit int) error {
	return &failure{exit: exit, err: errors.New("see above"), said: true}
}

// rpcFailed is the failure of a call of the given method.
func rpcFailed(method string, err error) error {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	text := fmt.Errorf("%s: %s: %s", method, codeName(st.Code()), st.Message())
	if st.Message() == "" {
		text = fmt.Errorf("%s: %s", method, codeName(st.Code()))
	}
	return &failure{exit: exitStatus + int(st.Code()), err: text, rpc: st, hint: rpcHint(st)}
}

// rpcHint says what to do about a status where that isn't plain.
func rpcHint(st *status.Status) string {
	m := st.Message()
	switch {
	case strings.Contains(m, "PROTOCOL_ERROR"):
		return "the server has reset the stream; Kestrel does so when it doesn't like the :authority: leave --authority out"
	case strings.Contains(m, "received message larger than max"):
		return "give --max-message a larger size, such as 64MiB"
	case st.Code() == codes.DeadlineExceeded:
		return "give --deadline more time, or see what the server is doing"
	case st.Code() == codes.Unimplemented:
		return "the server has no such method: `grpcpipe services TARGET` lists what it has"
	case st.Code() == codes.Unavailable && strings.Contains(m, "error reading from server"):
		return "the server ended the connection in mid-call: see its log"
	}
	return ""
}

// codeName is the code as the gRPC specification writes it.
func codeName(c codes.Code) string {
	switch {
	case c == codes.OK:
		return "OK"
	case c == codes.Canceled:
		return "CANCELLED"
	case c > codes.Unauthenticated:
		return c.String()
	}
	var name strings.Builder
	for i, r := range c.String() {
		if i > 0 && unicode.IsUpper(r) {
			name.WriteByte('_')
		}
		name.WriteRune(unicode.ToUpper(r))
	}
	return name.String()
}

// report tells the user about err on w and returns the exit status.
func report(w io.Writer, asJSON bool, err error) int {
	f := &failure{exit: exitUsage, err: err}
	if !errors.As(err, &f) && errors.Is(err, context.Canceled) {
		f = &failure{exit: exitInternal, err: errors.New("interrupted")}
	}
	switch {
	case f.said:
	case asJSON:
		json.NewEncoder(w).Encode(map[string]any{"error": f.asJSON()})
	default:
		fmt.Fprintln(w, "grpcpipe:", oneLine(f.Error()))
		for _, d := range f.details() {
			fmt.Fprintln(w, "grpcpipe: detail:", d)
		}
	}
	return f.exit
}

func (f *failure) asJSON() map[string]any {
	m := map[string]any{"kind": f.kind(), "exit_status": f.exit, "message": oneLine(f.err.Error())}
	if f.hint != "" {
		m["hint"] = f.hint
	}
	if f.rpc != nil {
		m["status"] = statusJSON(f.rpc)
	}
	return m
}

// statusJSON is a gRPC status for machines.
func statusJSON(st *status.Status) map[string]any {
	m := map[string]any{"code": int(st.Code()), "name": codeName(st.Code()), "message": st.Message()}
	var details []json.RawMessage
	for _, d := range st.Proto().GetDetails() {
		details = append(details, anyJSON(d))
	}
	if details != nil {
		m["details"] = details
	}
	return m
}

// details are the details of the server's status, one line each.
func (f *failure) details() []string {
	if f.rpc == nil {
		return nil
	}
	var lines []string
	for _, d := range f.rpc.Proto().GetDetails() {
		lines = append(lines, oneLine(string(anyJSON(d))))
	}
	return lines
}

// anyJSON is a detail as JSON: as its own message where this program knows it,
// else its type and its bytes.
func anyJSON(d *anypb.Any) json.RawMessage {
	if b, err := protojson.Marshal(d); err == nil {
		return compact(b)
	}
	b, _ := json.Marshal(map[string]any{"@type": d.GetTypeUrl(), "value": d.GetValue()}) // strings and bytes always marshal
	return b
}

// oneLine makes a text that may hold anything, for it may come from a server,
// fit for one line of a terminal.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r == '\n' || r == '\r' }), " ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
}
