package grpcpipe

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"slices"
	"strings"

	"google.golang.org/grpc/resolver"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// scheme is the scheme of pipe targets.
const scheme = "npipe"

type targetKind int

const (
	toPipes       targetKind = iota // paths or pattern is set
	toGRPC                          // grpc knows what to do with it
	unknownScheme                   // only the caller's options can tell
)

// A target is what the string given to NewClient means.
type target struct {
	kind    targetKind
	text    string   // as the caller wrote it
	url     string   // what grpc gets to see: it parses as a URL of our scheme
	paths   []string // full paths of the pipes, in the caller's order, each once
	pattern string   // or a pattern of bare names
	tls     bool     // nothing but TLS may be sent

	connections int // to each pipe; 0 is one, in grpc's own way
}

// badTarget is the error for a target that can't be what was meant.
func badTarget(text, what, remedy string) error {
	return &targetError{text: fmt.Sprintf("grpcpipe: bad target %q: %s; %s", text, what, remedy), cause: fs.ErrInvalid}
}

// A targetError matches fs.ErrInvalid, as the error for a bad name does.
type targetError struct {
	text  string
	cause error
}

func (e *targetError) Error() string { return e.text }
func (e *targetError) Unwrap() error { return e.cause }

// parseTarget tells what a target means. It looks at nothing but the string, the
// resolvers registered with grpc and $TMPDIR. Names are never percent-decoded:
// url.Parse would cut them at # and ?.
func parseTarget(text string) (target, error) {
	if text == "" {
		return target{}, badTarget(text, "it is empty", "write npipe:NAME")
	}
	if startsWithTwoSlashes(text) {
		return pipes(text, []string{text})
	}
	name, rest, found := cutScheme(text)
	switch {
	case found && name == scheme:
		return parseNpipe(text, rest)
	case found && (name == "http" || name == "https"):
		return parseKestrel(text, name, rest)
	case found && resolver.Get(name) != nil, isHostPort(text):
		return target{kind: toGRPC, text: text}, nil
	case found:
		return target{kind: unknownScheme, text: text}, nil
	case strings.HasPrefix(text, "/"):
		return target{}, badTarget(text, "a path alone is not a target", "write npipe:"+text)
	case strings.ContainsAny(text, ",*"):
		return target{}, badTarget(text, "a list or pattern of pipes needs the scheme", "write npipe:"+text)
	case strings.ContainsAny(text, ":/"):
		return target{}, badTarget(text, "it is neither a pipe's name nor host:port", "write npipe:NAME for a pipe, or host:port")
	}
	return pipes(text, []string{text})
}

// parseNpipe reads what follows npipe:.
func parseNpipe(text, rest string) (target, error) {
	if inner, ok := strings.CutPrefix(rest, "//"); ok {
		return parseNpipeURL(text, rest, inner)
	}
	names := strings.Split(rest, ",")
	for _, name := range names {
		if name == "" {
			return target{}, badTarget(text, "a name is missing", "write npipe:NAME, or npipe:NAME,NAME for several pipes")
		}
	}
	if !strings.Contains(rest, "*") {
		return pipes(text, names)
	}
	pattern := cutPipePrefix(rest)
	if len(names) > 1 {
		return target{}, badTarget(text, "a pattern can't be part of a list", "write one pattern, such as npipe:worker-*, or the names")
	}
	if strings.ContainsAny(pattern, `/\`) {
		return target{}, badTarget(text, "a pattern is for names, not paths", "write npipe:worker-*")
	}
	// A name in place of the asterisks must be one that namedpipe takes.
	if _, err := namedpipe.ResolveAddr(strings.ReplaceAll(pattern, "*", "x")); err != nil {
		return target{}, nameError(text, err)
	}
	return target{text: text, url: asURL(text, pattern), pattern: pattern}, nil
}

// parseNpipeURL reads the forms that begin with npipe://, where comma and
// asterisk are part of the name. inner is rest without its two slashes.
func parseNpipeURL(text, rest, inner string) (target, error) {
	name, literal := strings.CutPrefix(inner, "/")
	switch {
	case startsWithTwoSlashes(inner): // npipe://\\.\pipe\X and npipe:////./pipe/X
		if isPipePath(inner) || !literal {
			return pipes(text, []string{inner})
		}
		// npipe:////run/me/x.sock: the path is /run/me/x.sock.
		return pipes(text, []string{name})
	case literal && name == "":
		return target{}, badTarget(text, "a name is missing", "write npipe:NAME or npipe:///NAME")
	case literal && strings.Contains(name, "/"):
		return target{}, badTarget(text, "a pipe's name has no slash",
			"write npipe:///NAME for a pipe, or npipe:////"+name+" for the Unix socket /"+name)
	case literal: // npipe:///X
		return pipes(text, []string{name})
	case isPipePath(rest): // npipe://./pipe/X
		return pipes(text, []string{rest})
	}
	host, path, _ := strings.Cut(inner, "/")
	if path == "" {
		return target{}, badTarget(text, "what follows // is a machine's name", "write npipe:"+host+" or npipe:///"+host)
	}
	return target{}, badTarget(text, fmt.Sprintf("a pipe on another machine (%s) is out of reach", host),
		"pipes are for one machine: write npipe:NAME or npipe://./pipe/NAME")
}

// parseKestrel reads Kestrel's http://pipe:/NAME.
func parseKestrel(text, name, rest string) (target, error) {
	const prefix = "//pipe:/"
	if len(rest) < len(prefix) || !strings.EqualFold(rest[:len(prefix)], prefix) {
		return target{}, badTarget(text, "grpc takes no "+name+" URL",
			"write npipe:NAME or "+name+"://pipe:/NAME for a pipe, or host:port for the network")
	}
	pipe := rest[len(prefix):]
	switch before, _, colon := strings.Cut(pipe, ":"); {
	case colon:
		// Kestrel takes what follows the colon as a path base, which no gRPC
		// method has.
		return target{}, badTarget(text, "what follows the second colon is a path base, which gRPC has no use for",
			"write "+name+"://pipe:/"+before)
	case pipe == "":
		return target{}, badTarget(text, "a name is missing", "write "+name+"://pipe:/NAME")
	}
	t, err := pipes(text, []string{pipe})
	t.tls = name == "https"
	return t, err
}

// pipes is the target for the given names, in any spelling that namedpipe takes.
func pipes(text string, names []string) (target, error) {
	t := target{text: text}
	for _, name := range names {
		addr, err := namedpipe.ResolveAddr(name)
		if err != nil {
			return target{}, nameError(text, err)
		}
		if path := addr.String(); !slices.Contains(t.paths, path) {
			t.paths = append(t.paths, path)
		}
	}
	t.url = asURL(text, strings.Join(names, ","))
	return t, nil
}

// nameError is namedpipe's error for a name, with the target before it.
func nameError(text string, err error) error {
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err // the name is in the target
	}
	return &targetError{text: fmt.Sprintf("grpcpipe: bad target %q: %v", text, err), cause: err}
}

// asURL returns what grpc shows as the channel's target: what the caller wrote
// if that parses as a URL of our scheme, else the plainest form that does. grpc
// falls back to another scheme for what doesn't.
func asURL(text, names string) string {
	for _, s := range []string{text, scheme + ":" + names} {
		if u, err := url.Parse(s); err == nil && u.Scheme == scheme {
			return s
		}
	}
	return scheme + ":" + url.PathEscape(names)
}

// cutScheme takes the scheme off, in lower case.
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

// isHostPort tells whether grpc's default resolver should have the target. A
// port must be a number: host:name can't be told from scheme:name.
func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	if err != nil || port == "" || strings.ContainsAny(host, "/,*") {
		return false
	}
	return strings.Trim(port, "0123456789") == ""
}

func isSlash(c byte) bool { return c == '/' || c == '\\' }

func startsWithTwoSlashes(s string) bool {
	return len(s) >= 2 && isSlash(s[0]) && isSlash(s[1])
}

// isPipePath tells whether s begins with \\.\pipe\ in any spelling.
func isPipePath(s string) bool { return cutPipePrefix(s) != s }

// cutPipePrefix takes \\.\pipe\ off, in any spelling of it.
func cutPipePrefix(s string) string {
	const prefix = `\\.\pipe\`
	if len(s) >= len(prefix) && strings.EqualFold(strings.ReplaceAll(s[:len(prefix)], "/", `\`), prefix) {
		return s[len(prefix):]
	}
	return s
}
