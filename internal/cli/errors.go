package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

// Exit statuses of the command.
const (
	exitOK       = 0
	exitInternal = 1
	exitUsage    = 2
	exitConnect  = 3
	exitFailed   = 4  // a condition of --fail-if, or a difference that replay found
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
	case f.exit == exitFailed:
		return "failed"
	case f.exit >= exitStatus:
		return "status"
	}
	return "internal"
}

func usage(format string, args ...any) error {
	return &failure{exit: exitUsage, err: fmt.Errorf(format, args...)}
}

// usageThen is usage with what to do about it apart.
func usageThen(hint, format string, args ...any) error {
	return &failure{exit: exitUsage, err: fmt.Errorf(format, args...), hint: hint}
}

func internal(err error) error { return &failure{exit: exitInternal, err: err} }

// asFailure returns what the command makes of an error, nil if that is not known.
func asFailure(err error) *failure {
	var f *failure
	if errors.As(err, &f) {
		return f
	}
	var e *inspect.Error
	if !errors.As(err, &e) {
		return nil
	}
	f = &failure{exit: exitInternal, err: e.Err, hint: e.Next, rpc: e.Status}
	switch e.Kind {
	case inspect.Usage:
		f.exit = exitUsage
	case inspect.Unreachable:
		f.exit = exitConnect
	case inspect.Status:
		f.exit = exitStatus + int(e.Status.Code())
	}
	return f
}

// badTarget is the error for a text that is no target.
func badTarget(err error) error {
	var e *target.Error
	if !errors.As(err, &e) {
		return usage("%w", err)
	}
	return &failure{exit: exitUsage, err: fmt.Errorf("bad target %q: %s", e.Text, e.What), hint: e.Remedy}
}

// alreadyTold ends the command with a status and without another word.
func alreadyTold(exit int) error {
	return &failure{exit: exit, err: errors.New("see above"), said: true}
}

// report tells the user about err on w and returns the exit status.
func report(w io.Writer, asJSON bool, err error) int {
	f := asFailure(err)
	switch {
	case f == nil && errors.Is(err, context.Canceled):
		f = &failure{exit: exitInternal, err: errors.New("interrupted")}
	case f == nil:
		f = &failure{exit: exitUsage, err: err}
	}
	switch {
	case f.said:
	case asJSON:
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		e.Encode(map[string]any{"error": f.asJSON()})
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
	m := map[string]any{"code": int(st.Code()), "name": inspect.CodeName(st.Code()), "message": st.Message()}
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
