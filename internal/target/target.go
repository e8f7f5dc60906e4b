// Package target parses the string that names a server: a pipe, several pipes, a
// pattern of pipe names, or something that is not a pipe.
package target

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// Scheme is the scheme of targets that name pipes.
const Scheme = "npipe"

// NoPipe stands in the place of a pipe's address while no pipe matches a pattern:
// it is the address that a channel's dialer is given then. It is no path.
const NoPipe = Scheme + ":"

// A Kind says how a target is reached.
type Kind int

const (
	// Pipes is one pipe, several, or all that match a pattern.
	Pipes Kind = iota
	// HostPort is host:port.
	HostPort
	// OtherScheme begins with a scheme that is neither ours nor http or https.
	// Whether there is a resolver for it, only grpc and the caller know.
	OtherScheme
)

// A Target is what the string given to NewClient means. It must not be changed.
type Target struct {
	Kind Kind
	Text string // as the caller wrote it

	// For pipes, either Paths or Pattern is set.
	Paths   []string // full paths, in the caller's order, each once
	Pattern string   // a pattern of bare names, in which * stands for any characters
	TLS     bool     // the scheme was https: only TLS may be sent
	URL     string   // a target that parses as a URL of our scheme: Text if it does

	// For OtherScheme.
	Scheme string // in lower case
}

// An Error says why a text is not a target, and what to write instead. It matches
// fs.ErrInvalid, or the system's error if a relative $TMPDIR leads nowhere.
type Error struct {
	Text   string // the target as written
	What   string // what is wrong with it
	Remedy string // what to write instead; empty if What says it

	cause error // the system's; nil for fs.ErrInvalid
}

func (e *Error) Error() string {
	s := fmt.Sprintf("bad target %q: %s", e.Text, e.What)
	if e.Remedy != "" {
		s += "; " + e.Remedy
	}
	return s
}

// Unwrap returns fs.ErrInvalid or the system's error.
func (e *Error) Unwrap() error {
	if e.cause != nil {
		return e.cause
	}
	return fs.ErrInvalid
}

// Parse parses a target. It looks at nothing but the string and, off Windows,
// $TMPDIR. Names are never percent-decoded: url.Parse would cut them at # and ?.
// Errors are of type *[Error].
//
// A path from the root, such as /run/me/my.sock, is the Unix socket there, and
// like a name that follows npipe:// it may hold commas and asterisks.
func Parse(text string) (Target, error) {
	if text == "" {
		return Target{}, bad(text, "it is empty", "write npipe:NAME")
	}
	if pipename.IsSlash(text[0]) {
		return pipes(text, []string{text})
	}
	name, rest, found := cutScheme(text)
	switch {
	case found && name == Scheme:
		return parseNpipe(text, rest)
	case found && (name == "http" || name == "https"):
		return parseKestrel(text, name, rest)
	case isHostPort(text):
		return Target{Kind: HostPort, Text: text}, nil
	case found:
		return Target{Kind: OtherScheme, Text: text, Scheme: name}, nil
	case strings.ContainsAny(text, ",*"):
		return Target{}, bad(text, "a list or pattern of pipes needs the scheme", "write npipe:"+text)
	case strings.ContainsAny(text, ":/"):
		return Target{}, bad(text, "it is neither a pipe's name nor host:port", "write npipe:NAME for a pipe, or host:port")
	}
	return pipes(text, []string{text})
}

// ForName returns a target for the pipe with the given name, in any spelling
// that namedpipe takes: the name itself if that is a target for this pipe, as it
// nearly always is. It does not check the name.
func ForName(name string) string {
	path, err := pipename.Path(name)
	if err != nil {
		return name
	}
	if t, err := Parse(name); err == nil && slices.Equal(t.Paths, []string{path}) {
		return name
	}
	return Scheme + ":///" + name
}

func bad(text, what, remedy string) error {
	return &Error{Text: text, What: what, Remedy: remedy}
}

// parseNpipe parses what follows npipe:.
func parseNpipe(text, rest string) (Target, error) {
	if inner, ok := strings.CutPrefix(rest, "//"); ok {
		return parseNpipeURL(text, rest, inner)
	}
	names := strings.Split(rest, ",")
	for _, name := range names {
		if name == "" {
			return Target{}, bad(text, "a name is missing", "write npipe:NAME, or npipe:NAME,NAME for several pipes")
		}
	}
	if !strings.Contains(rest, "*") {
		return pipes(text, names)
	}
	pattern, _ := pipename.CutPrefix(rest)
	if len(names) > 1 {
		return Target{}, bad(text, "a pattern can't be part of a list", "write one pattern, such as npipe:worker-*, or the names")
	}
	if strings.ContainsAny(pattern, `/\`) {
		return Target{}, bad(text, "a pattern is for names, not paths", "write npipe:worker-*")
	}
	// A name in place of the asterisks must be one that namedpipe takes.
	if _, err := pipename.Path(strings.ReplaceAll(pattern, "*", "x")); err != nil {
		return Target{}, nameError(text, err)
	}
	return Target{Text: text, URL: asURL(text, pattern), Pattern: pattern}, nil
}

// parseNpipeURL parses the forms that begin with npipe://, where comma and
// asterisk are part of the name. inner is rest without its two slashes.
func parseNpipeURL(text, rest, inner string) (Target, error) {
	name, literal := strings.CutPrefix(inner, "/")
	switch {
	case pipename.IsUNC(inner): // npipe://\\.\pipe\X and npipe:////./pipe/X
		if _, pipe := pipename.CutPrefix(inner); pipe || !literal {
			return pipes(text, []string{inner})
		}
		// npipe:////run/me/x.sock: the path is /run/me/x.sock.
		return pipes(text, []string{name})
	case literal && name == "":
		return Target{}, bad(text, "a name is missing", "write npipe:NAME or npipe:///NAME")
	case literal && strings.Contains(name, "/"):
		return Target{}, bad(text, "a pipe's name has no slash",
			"write npipe:///NAME for a pipe, or npipe:////"+name+" for the Unix socket /"+name)
	case literal: // npipe:///X
		return pipes(text, []string{name})
	}
	if _, pipe := pipename.CutPrefix(rest); pipe { // npipe://./pipe/X
		return pipes(text, []string{rest})
	}
	host, path, _ := strings.Cut(inner, "/")
	if path == "" {
		return Target{}, bad(text, "what follows // is a machine's name", "write npipe:"+host+" or npipe:///"+host)
	}
	return Target{}, bad(text, fmt.Sprintf("a pipe on another machine (%s) can't be reached", host),
		"pipes are for one machine: write npipe:NAME or npipe://./pipe/NAME")
}

// parseKestrel parses Kestrel's http://pipe:/NAME.
func parseKestrel(text, name, rest string) (Target, error) {
	const prefix = "//pipe:/"
	if len(rest) < len(prefix) || !strings.EqualFold(rest[:len(prefix)], prefix) {
		return Target{}, bad(text, "gRPC does not take "+name+" URLs",
			"write npipe:NAME or "+name+"://pipe:/NAME for a pipe, or host:port for the network")
	}
	pipe := rest[len(prefix):]
	switch before, _, colon := strings.Cut(pipe, ":"); {
	case colon:
		return Target{}, bad(text, "what follows the second colon is a path base, which gRPC methods do not have",
			"write "+name+"://pipe:/"+before)
	case pipe == "":
		return Target{}, bad(text, "a name is missing", "write "+name+"://pipe:/NAME")
	}
	t, err := pipes(text, []string{pipe})
	t.TLS = name == "https"
	return t, err
}

// pipes returns the target for the names, in any spelling that namedpipe takes.
func pipes(text string, names []string) (Target, error) {
	t := Target{Text: text}
	for _, name := range names {
		path, err := pipename.Path(name)
		if err != nil {
			return Target{}, nameError(text, err)
		}
		if !slices.Contains(t.Paths, path) {
			t.Paths = append(t.Paths, path)
		}
	}
	t.URL = asURL(text, strings.Join(names, ","))
	return t, nil
}

// nameError returns the error for a name as one for the target.
func nameError(text string, err error) error {
	var e *pipename.Error
	if errors.As(err, &e) {
		what, remedy := e.Advice()
		return bad(text, what, remedy)
	}
	return &Error{Text: text, What: err.Error(), cause: err}
}

// asURL returns the target that grpc is given and shows: text if that parses as a
// URL of our scheme, else the plainest form that does. Without one, grpc would
// fall back to another scheme.
func asURL(text, names string) string {
	for _, s := range []string{text, Scheme + ":" + names} {
		if u, err := url.Parse(s); err == nil && u.Scheme == Scheme {
			return s
		}
	}
	return Scheme + ":" + url.PathEscape(names)
}

// cutScheme cuts the scheme off and returns it in lower case.
func cutScheme(text string) (name, rest string, found bool) {
	name, rest, found = strings.Cut(text, ":")
	if !found || name == "" {
		return "", text, false
	}
	for i, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.')) {
			return "", text, false
		}
	}
	return strings.ToLower(name), rest, true
}

// isHostPort reports whether text is host:port. The port must be a number:
// host:name can't be told from scheme:name.
func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || port == "" || strings.ContainsAny(host, "/,*") {
		return false
	}
	return strings.Trim(port, "0123456789") == ""
}
