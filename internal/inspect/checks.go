package inspect

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/pipename"
	"github.com/grpcpipe/grpcpipe/internal/target"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// busyTimeout is how long a check waits for a free instance.
const busyTimeout = 2 * time.Second

// The results of a check.
const (
	OK      = "ok"
	Warning = "warning"
	Trouble = "trouble"
)

// A Finding is the outcome of one check. Text and Next may hold text that the
// server has sent.
type Finding struct {
	Pipe   string `json:"pipe,omitempty"` // set if there are several
	Check  string `json:"check"`
	Result string `json:"result"`
	Text   string `json:"text"`
	Next   string `json:"next,omitempty"` // what to do about it
}

// A Report is the result of Examine.
type Report struct {
	Target   string
	Paths    []string // of the pipes; none for a network address
	Findings []Finding
	// Err is the first trouble, an Error of kind Interrupted if ctx ended, or
	// nil.
	Err *Error
}

// Examine finds out whether a server can be reached and called, and if not,
// why. It checks as far as it can, from the name to the calls, and connects
// several times. found, if not nil, gets each finding as it is made.
func Examine(ctx context.Context, cfg Config, found func(Finding)) *Report {
	x := &examiner{cfg: cfg, report: &Report{Target: cfg.Target}, found: found}
	x.target(ctx)
	if ctx.Err() != nil {
		x.report.Err = interrupted().(*Error)
	}
	return x.report
}

// An examiner examines one target.
type examiner struct {
	cfg    Config
	report *Report
	found  func(Finding)
	pipe   string // that is being examined, if there are several
	path   string // "" over a network
}

func (x *examiner) ok(check, format string, args ...any) {
	x.add(Finding{Check: check, Result: OK, Text: fmt.Sprintf(format, args...)})
}

func (x *examiner) warn(check, text, next string) {
	x.add(Finding{Check: check, Result: Warning, Text: text, Next: next})
}

// trouble adds a finding that keeps the server from being used. Failures caused
// by the end of ctx don't count.
func (x *examiner) trouble(ctx context.Context, check string, e *Error) {
	if ctx.Err() != nil || e.Kind == Interrupted {
		return
	}
	if x.report.Err == nil {
		x.report.Err = e
	}
	x.add(Finding{Check: check, Result: Trouble, Text: e.Err.Error(), Next: e.Next})
}

func (x *examiner) unreachable(ctx context.Context, check, text, next string) {
	x.trouble(ctx, check, &Error{Kind: Unreachable, Err: errors.New(text), Next: next})
}

func (x *examiner) add(f Finding) {
	f.Pipe = x.pipe
	x.report.Findings = append(x.report.Findings, f)
	if x.found != nil {
		x.found(f)
	}
}

// target checks everything from the name to the calls, and stops where it can't
// go on. Several pipes are examined one by one.
func (x *examiner) target(ctx context.Context) {
	t, err := target.Parse(x.cfg.Target)
	if err != nil {
		x.trouble(ctx, "name", badTarget(err).(*Error))
		return
	}
	if t.Kind != target.Pipes {
		x.ok("name", "%s is not a pipe but a network address", t.Text)
		x.server(ctx)
		return
	}
	paths := t.Paths
	if t.Pattern != "" {
		entries, err := follow.System.List(t.Pattern)
		if err != nil || len(entries) == 0 {
			x.trouble(ctx, "there", noneMatches(t.Text, x.cfg.Words).(*Error))
			return
		}
		for _, e := range entries {
			paths = append(paths, e.Path)
		}
	}
	x.report.Paths = paths
	for _, path := range paths {
		x.path = path
		if len(paths) > 1 {
			x.pipe = path
			x.cfg.Target = target.ForName(path) // several pipes are never an https: target
		}
		x.ok("name", "%s is %s", t.Text, path)
		if ctx.Err() == nil && x.opens(ctx) {
			x.server(ctx)
		}
	}
}

// opens opens the pipe and looks up who is behind it.
func (x *examiner) opens(ctx context.Context) bool {
	limit, cancel := context.WithTimeout(ctx, min(busyTimeout, x.cfg.timeout()))
	defer cancel()
	c, err := anyServer.Dial(limit, x.path)
	if err != nil {
		x.notOpened(ctx, err)
		return false
	}
	defer c.Close()
	x.ok("there", "it could be opened")
	if who := accessOf(x.path, c); who != "" {
		x.ok("access", "it admits %s; you are %s", who, whoAmI())
	}
	return x.owner(ctx, c)
}

// owner checks the server against the rule that the client would use.
func (x *examiner) owner(ctx context.Context, c *namedpipe.Conn) bool {
	limit, cancel := context.WithTimeout(ctx, min(busyTimeout, x.cfg.timeout()))
	defer cancel()
	trusting := namedpipe.Dialer{Server: x.cfg.Trust, ImpersonationLevel: namedpipe.Anonymous}
	second, err := trusting.Dial(limit, x.path)
	var untrusted *namedpipe.TrustError
	switch {
	case errors.As(err, &untrusted):
		x.trouble(ctx, "owner", &Error{Kind: Unreachable, Err: &reworded{err, notTrusted(untrusted) + "; you are " + whoAmI()},
			Next: join("if this is the right server, "+x.cfg.Words.TrustServer, "and in a program set namedpipe.Trust")})
		return false
	case errors.Is(err, context.DeadlineExceeded):
		x.warn("owner", "the pipe could be opened once and not a second time: it has few instances", "raise ListenConfig.Instances, or accept faster")
	case err != nil:
		x.notOpened(ctx, err)
		return false
	default:
		second.Close()
	}
	if p, err := c.Peer(); err == nil {
		x.ok("owner", "the server is %s", p)
	}
	return true
}

// notOpened explains why a pipe could not be opened.
func (x *examiner) notOpened(ctx context.Context, err error) {
	text := BareText(err)
	switch kind := fileInTheWay(x.path); {
	case kind != "" && !errors.Is(err, fs.ErrPermission):
		x.unreachable(ctx, "there", "there is "+kind+" with this name, which is not a socket: no server can listen here",
			"remove it, or choose another name")
	case isRefused(err):
		x.unreachable(ctx, "there", "a socket is there and nobody listens on it: its server was killed, as a .NET service is that crashed or was stopped hard, and has left it behind",
			"start the server again: it takes the name over; then look in its log for why it ended")
	case errors.Is(err, fs.ErrNotExist):
		x.missing(ctx, text)
	case errors.Is(err, context.DeadlineExceeded):
		x.unreachable(ctx, "busy", text, "see whether the server hangs (its log, a debugger), is gone while old clients hold the pipe (end them), or needs more instances")
	case errors.Is(err, fs.ErrPermission):
		x.unreachable(ctx, "access", fmt.Sprintf("access denied: you are %s, and %s", whoAmI(), denied(x.path)),
			"run as a user it admits, or let the server admit you: in Go ListenConfig.Access, in Kestrel NamedPipeTransportOptions.PipeSecurity or CurrentUserOnly = false")
	default:
		x.unreachable(ctx, "there", text, "fix the problem above and retry")
	}
}

// missing looks for a missing pipe in other places.
func (x *examiner) missing(ctx context.Context, text string) {
	if found, next := elsewhere(ctx, x.path); found != "" {
		x.unreachable(ctx, "there", text+"; "+found, next)
		return
	}
	near, err := NearPipes(x.path)
	switch {
	case err != nil:
		x.unreachable(ctx, "there", text+"; similar names can't be looked for: "+err.Error(), "start the server, or check the name")
	case len(near) > 0:
		x.unreachable(ctx, "there", text+"; there is "+strings.Join(near, ", "), "write the right name, or start the server")
	default:
		x.unreachable(ctx, "there", text, join("start the server", x.cfg.Words.List, x.cfg.Words.Wait))
	}
}

// NearPipes returns up to three names of pipes that resemble that of a path.
func NearPipes(path string) ([]string, error) {
	entries, err := follow.System.List("*")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Path != path {
			names = append(names, e.Name)
		}
	}
	own := path[strings.LastIndexAny(path, `/\`)+1:]
	return Nearest(strings.TrimPrefix(own, pipename.DotNetPrefix), names, 3), nil
}
