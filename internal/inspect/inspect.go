// Package inspect examines gRPC servers: it connects and keeps how that went,
// reads schemas, makes calls of any kind, lists pipes, and finds out why a
// server can't be reached. It returns data, and neither prints nor knows of
// flags: how a user does what a remedy calls for is in [Words].
package inspect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Config says which server to reach and how. Only Target must be set.
type Config struct {
	// Target is what grpcpipe.NewClient takes.
	Target string
	// Trust says which servers of a pipe may be sent anything.
	Trust namedpipe.Trust
	// TLS turns on TLS. A target of the https: form turns it on too, with the
	// system's certificates. An empty ServerName is the host, for a pipe
	// localhost.
	TLS *tls.Config
	// Authority is the :authority to send; "" is the host, for a pipe localhost.
	Authority string
	// UserAgent comes before grpc-go's own; "" adds nothing.
	UserAgent string
	// MaxMessage is the size of the largest message to accept, in bytes; 0 is
	// DefaultMaxMessage. Reflection is always allowed DefaultMaxMessage.
	MaxMessage int
	// Timeout bounds connecting, from opening the pipe to the server's HTTP/2
	// settings, and each answer of reflection; 0 is DefaultTimeout.
	Timeout time.Duration
	// Wait waits for a server that isn't there yet, for as long as Timeout.
	Wait bool
	// Headers are sent with health checks and reflection, and ReflectHeaders
	// with reflection alone. Calls have headers of their own.
	Headers, ReflectHeaders metadata.MD
	// Demanded are headers that reflection gets only if the server refuses to
	// answer without them, as UNAUTHENTICATED or PERMISSION_DENIED.
	Demanded metadata.MD
	// Options come last.
	Options []grpc.DialOption
	// Words are for the remedies.
	Words Words
}

// The defaults of Config.
const (
	DefaultTimeout    = 10 * time.Second
	DefaultMaxMessage = 16 << 20
)

func (c *Config) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return DefaultTimeout
}

func (c *Config) maxMessage() int {
	if c.MaxMessage > 0 {
		return c.MaxMessage
	}
	return DefaultMaxMessage
}

// Words are how the user of a program does what a remedy calls for, as the end
// of a sentence: "give --tls". An empty word leaves the remedy out.
type Words struct {
	AddTLS, DropTLS string
	TrustServer     string // accept the server of another user
	TrustProcess    string // name another process or program
	CACert          string // trust a certificate
	ServerName      string // expect another name in the certificate
	ClientCert      string // send a certificate
	MoreTime        string // to connect
	Deadline        string // more time for a call
	MaxMessage      string // accept a larger message
	Authority       string // send the default :authority
	Schema          string // bring descriptions of one's own
	ReflectHeader   string // send headers with reflection
	List            string // list the pipes there are
	Wait            string // wait for a pipe
	Services        string // list what the server has
}

// A Kind says what sort of error an Error is.
type Kind int

// The kinds of errors.
const (
	Internal    Kind = iota // of this program, a file or the system
	Usage                   // the target, a setting or data is wrong; nothing was sent
	Unreachable             // there is no connection
	Status                  // a call ended with Error.Status
	Interrupted             // the caller's context ended
)

// An Error is why something could not be done.
type Error struct {
	Kind   Kind
	Err    error          // what happened
	Next   string         // what to do about it, "" if that is not known or Err says so
	Status *status.Status // with which a call has ended, else nil
}

func (e *Error) Error() string {
	if e.Next == "" {
		return e.Err.Error()
	}
	return e.Err.Error() + ": " + e.Next
}

// Unwrap returns what happened.
func (e *Error) Unwrap() error { return e.Err }

func usage(format string, args ...any) error {
	return &Error{Kind: Usage, Err: fmt.Errorf(format, args...)}
}

// badTarget is the error for a text that is no target.
func badTarget(err error) error {
	var e *target.Error
	if !errors.As(err, &e) {
		return usage("%s", strings.TrimPrefix(err.Error(), "grpcpipe: "))
	}
	return &Error{Kind: Usage, Err: &reworded{err, fmt.Sprintf("bad target %q: %s", e.Text, e.What)}, Next: e.Remedy}
}

// Unreached is the error for a server that can't be connected to.
func Unreached(err error, w Words) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	e = &Error{Kind: Unreachable, Err: err}
	var untrusted *namedpipe.TrustError
	var adviser interface{ Advice() (what, remedy string) }
	switch {
	case errors.As(err, &untrusted):
		e.Next = w.TrustServer
		if untrusted.Field == "PID" || untrusted.Field == "Executable" {
			e.Next = w.TrustProcess
		}
		e.Err = &reworded{err, prefix(err) + notTrusted(untrusted)}
	case errors.As(err, &adviser):
		what, remedy := adviser.Advice()
		e.Err, e.Next = &reworded{err, prefix(err) + what}, remedy
	}
	var op *net.OpError
	if errors.Is(err, fs.ErrNotExist) && errors.As(err, &op) && op.Addr != nil {
		if near, _ := NearPipes(op.Addr.String()); len(near) > 0 { // without a list there is nothing to suggest
			e.Next = join(didYouMean(near), e.Next)
		}
	}
	return e
}

// notTrusted says who a server is that is not trusted, and why, without the
// library's advice to a programmer.
func notTrusted(e *namedpipe.TrustError) string {
	return fmt.Sprintf("the server is not trusted: %s [%s]; nothing was sent to it", e.Reason, e.Server)
}

// A reworded error has another text, and matches what it was made of.
type reworded struct {
	error
	text string
}

func (r *reworded) Error() string { return r.text }
func (r *reworded) Unwrap() error { return r.error }

// prefix is what a *net.OpError puts before its cause.
func prefix(err error) string { return strings.TrimSuffix(err.Error(), BareText(err)) }

// interrupted is the error for what the caller's context has ended.
func interrupted() error { return &Error{Kind: Interrupted, Err: errors.New("interrupted")} }

// StatusError is the error of a call of the given method, such as a.B/C, on the
// session. listed says that the server's reflection has the method. An err that is
// already an *Error is returned as it is.
func (s *Session) StatusError(method string, listed bool, err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	text := fmt.Errorf("%s: %s: %s", method, CodeName(st.Code()), st.Message())
	if st.Message() == "" {
		text = fmt.Errorf("%s: %s", method, CodeName(st.Code()))
	}
	return &Error{Kind: Status, Err: text, Status: st, Next: s.statusNext(st, listed)}
}

// statusNext says what to do about a status where that isn't plain.
func (s *Session) statusNext(st *status.Status, listed bool) string {
	m, w := st.Message(), &s.cfg.Words
	switch {
	case strings.Contains(m, "PROTOCOL_ERROR"):
		return join("the server has reset the stream, as Kestrel does when it does not accept the :authority", w.Authority)
	case strings.Contains(m, "larger than max") && strings.Contains(m, fmt.Sprintf("vs. %d)", s.cfg.maxMessage())):
		return w.MaxMessage
	case strings.Contains(m, "larger than max"), strings.Contains(m, "exceeds the maximum configured message size"):
		return "this is the server's limit: raise it there, in Go with grpc.MaxRecvMsgSize, in .NET with MaxReceiveMessageSize"
	case st.Code() == codes.DeadlineExceeded:
		return join(w.Deadline, "see what the server is doing")
	case st.Code() == codes.Unimplemented && listed:
		return "the server lists this method and does not implement it"
	case st.Code() == codes.Unimplemented && isUnknownMethod(m):
		return join("the server has no such method", w.Services)
	case st.Code() == codes.Unavailable && strings.Contains(m, "error reading from server"):
		return "the server ended the connection in mid-call: see its log"
	}
	return ""
}

// isUnknownMethod reports whether an UNIMPLEMENTED is from a server's routing and
// not from a method that says so itself: the texts are those of grpc-go,
// grpc-dotnet, grpc-java and grpc-js.
func isUnknownMethod(m string) bool {
	parts := []string{"unknown service", "unknown method", "service is unimplemented", "method is unimplemented", "method not found", "does not implement the method", "404"}
	return m == "" || containsAny(strings.ToLower(m), parts)
}

// join joins the parts of a remedy that are there.
func join(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(p string) bool { return p == "" }), "; ")
}

func containsAny(s string, parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(s, part) })
}

// CodeName is a code as the gRPC specification writes it.
func CodeName(c codes.Code) string {
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

// secretWords are the words by which the name of a header or a field says that it
// holds a secret, and secretPairs those that do together.
var (
	secretWords = []string{"authorization", "auth", "cookie", "cookies", "token", "tokens", "secret", "secrets", "password", "passwd", "passphrase",
		"credential", "credentials", "apikey", "jwt", "bearer"}
	secretPairs = []string{"api key", "access key", "private key"}
)

// IsSecret reports whether a header or a field with that name, such as x-api-key,
// user_token or userToken, holds a secret, as far as names tell.
func IsSecret(name string) bool {
	var words strings.Builder
	for i, r := range name {
		switch {
		case r == '-' || r == '_' || r == '.':
			r = ' '
		case unicode.IsUpper(r) && i > 0:
			words.WriteByte(' ')
		}
		words.WriteRune(unicode.ToLower(r))
	}
	all := strings.Fields(words.String())
	for i, w := range all {
		if slices.Contains(secretWords, w) || i > 0 && slices.Contains(secretPairs, all[i-1]+" "+w) {
			return true
		}
	}
	return false
}
