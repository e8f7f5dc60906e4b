package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/grpcpipe/grpcpipe/internal/cli/relay"
	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/record"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

// A recording is a record that proxy makes.
type recording struct {
	rec   *record.Recorder
	w     *record.Writer
	file  *os.File
	close func() // ends the session that describes the schema
}

// startRecording opens the file. Messages are decoded by the files that the flags
// name, else by the reflection of the server behind to, which is asked when the
// first message is there.
func (a *app) startRecording(ctx context.Context, flags *proxyFlags, from, to endpoint) (*recording, error) {
	r := &recording{close: func() {}}
	var own *inspect.Schema
	if err := flags.from.check(); err != nil {
		return nil, err
	}
	if flags.from.fromFiles() {
		var err error
		if own, err = flags.from.source.Load(ctx, flagWords); err != nil {
			return nil, err
		}
	}
	cfg, _, err := flags.conn.config(to.target(), false)
	if err != nil {
		return nil, err
	}
	decoder := record.NewDecoder(func() (*inspect.Schema, error) {
		if own != nil {
			return own, nil
		}
		if to.kind == "stdio" {
			return nil, errors.New("a server behind standard output can't be queried for its methods: give --proto")
		}
		s, err := inspect.Dial(ctx, cfg)
		if err != nil {
			return nil, err
		}
		sch, err := s.Schema(ctx, flags.from.source)
		if err != nil {
			s.Close()
			return nil, err
		}
		r.close = func() { sch.Close(); s.Close() }
		return sch, nil
	})
	// It may hold what is meant for this user alone.
	if r.file, err = os.OpenFile(flags.record, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); err != nil {
		return nil, usage("--record: %w", err)
	}
	r.w = record.NewWriter(r.file, record.Line{From: from.target(), To: to.target(), Secrets: flags.secrets})
	r.rec = record.NewRecorder(r.w, decoder, flags.secrets)
	return r, nil
}

// end writes what is left.
func (r *recording) end() error {
	err := errors.Join(r.w.Close(), r.file.Close())
	r.close()
	if err != nil {
		return internal(fmt.Errorf("--record: the record is not whole: %w", err))
	}
	return nil
}

// target is the endpoint as the target of a channel.
func (e endpoint) target() string {
	switch e.kind {
	case "pipe":
		return target.ForName(e.addr)
	case "unix":
		return "unix:" + e.addr
	}
	return e.addr
}

// both writes the bytes of a connection to two watchers.
func both(a, b func(int) (io.WriteCloser, io.WriteCloser)) func(int) (io.WriteCloser, io.WriteCloser) {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	return func(n int) (there, back io.WriteCloser) {
		a1, a2 := a(n)
		b1, b2 := b(n)
		return pairOf{a1, b1}, pairOf{a2, b2}
	}
}

type pairOf [2]io.WriteCloser

func (p pairOf) Write(b []byte) (int, error) {
	p[0].Write(b) // it is only looked at
	return p[1].Write(b)
}

func (p pairOf) Close() error { return errors.Join(p[0].Close(), p[1].Close()) }

// watchers are what sees the bytes that proxy relays.
func (a *app) watchers(flags *proxyFlags, say *sayer, r *recording) func(int) (io.WriteCloser, io.WriteCloser) {
	var dump, rec func(int) (io.WriteCloser, io.WriteCloser)
	if flags.dump {
		dump = func(n int) (io.WriteCloser, io.WriteCloser) {
			return relay.Dump(n, ">", say.frame), relay.Dump(n, "<", say.frame)
		}
	}
	if r != nil {
		rec = r.rec.Watch
	}
	return both(dump, rec)
}

// checkRecord reads a record once, before its calls are made again. Standard
// input can't be read twice.
func checkRecord(path string) error {
	if path == "-" {
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return usage("%w", err)
	}
	defer f.Close()
	return usageError(record.Check(path, f))
}

// openRecord opens a record, or standard input.
func (a *app) openRecord(ctx context.Context, path string) (*record.Reader, func(), error) {
	if path == "-" {
		in, err := record.NewReader("standard input", &interruptible{ctx, a.stdin})
		return in, func() {}, usageError(err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, usage("%w", err)
	}
	in, err := record.NewReader(path, f)
	if err != nil {
		f.Close()
		return nil, nil, usageError(err)
	}
	return in, func() { f.Close() }, nil
}

func usageError(err error) error {
	if err == nil {
		return nil
	}
	return usage("%w", err)
}

type showFlags struct {
	method string
	call   int64
	failed bool
	brief  bool
}

func (a *app) showCommand() *cobra.Command {
	var flags showFlags
	cmd := &cobra.Command{
		Use:   "show FILE",
		Short: "Show the calls in a record that proxy --record has made",
		Long: `Show the calls in a record that proxy --record has made: for each event its time
in seconds, the number of its call, and what it was. > is from the client, < from
the server. A record that is still being written can be shown. FILE may be - for
standard input. With -o json the lines of the record that fit are printed as they are.

docs/record.md describes the format for other programs.`,
		Example: `  grpcpipe show calls.ndjson
  grpcpipe show calls.ndjson --failed --brief
  grpcpipe show calls.ndjson --method 'greet.*' -o json`,
		Args: args("FILE"),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			in, done, err := a.openRecord(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			defer done()
			return a.show(cmd.Context(), in, flags)
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.method, "method", "", "show calls of these methods only, in which * stands for any characters")
	f.Int64Var(&flags.call, "call", 0, "show this call only, by its number")
	f.BoolVar(&flags.failed, "failed", false, "show how calls have ended that did not end with OK")
	f.BoolVar(&flags.brief, "brief", false, "show a line for each call, at its end")
	return cmd
}

// A shownCall is what is kept of a call under way.
type shownCall struct {
	line                *record.Line
	requests, responses int
	sent, received      int // bytes
}

func (a *app) show(ctx context.Context, in *record.Reader, flags showFlags) error {
	p := painter(a.wantsColor(a.stdout))
	open := map[int64]*shownCall{}
	for ctx.Err() == nil {
		l, err := in.Next()
		if errors.Is(err, io.EOF) {
			return a.showUnended(open, flags, p)
		}
		if err != nil {
			return usageError(err)
		}
		c := open[l.Call]
		switch l.Event {
		case record.Call:
			if !flags.wants(l) {
				continue
			}
			c = &shownCall{line: l}
			open[l.Call] = c
		case record.Request, record.Response:
			if c != nil {
				c.count(l)
			}
		case record.End, record.Reset:
			delete(open, l.Call)
		case record.Note:
			if flags.method == "" && flags.call == 0 && !a.json() {
				fmt.Fprintf(a.stdout, "%10.3f  %s\n", l.At/1e3, p.yellow(oneLine(l.Why)))
			}
		}
		if c == nil {
			continue
		}
		if err := a.showLine(p, l, c, flags); err != nil {
			return err
		}
	}
	return internal(errors.New("interrupted"))
}

// wants reports whether the flags choose a call.
func (f *showFlags) wants(l *record.Line) bool {
	return (f.call == 0 || f.call == l.Call) && (f.method == "" || matches(f.method, l.Method))
}

// matches reports whether a name matches a pattern, in which * stands for any
// characters.
func matches(pattern, name string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == name
	}
	last := parts[len(parts)-1]
	rest, ok := strings.CutPrefix(name, parts[0])
	if !ok || len(rest) < len(last) || !strings.HasSuffix(rest, last) {
		return false
	}
	rest = rest[:len(rest)-len(last)]
	for _, part := range parts[1 : len(parts)-1] {
		_, after, ok := strings.Cut(rest, part)
		if !ok {
			return false
		}
		rest = after
	}
	return true
}

func (c *shownCall) count(l *record.Line) {
	if l.Event == record.Request {
		c.requests, c.sent = c.requests+1, c.sent+l.Size
	} else {
		c.responses, c.received = c.responses+1, c.received+l.Size
	}
}

func (a *app) showLine(p painter, l *record.Line, c *shownCall, flags showFlags) error {
	ended := l.Event == record.End || l.Event == record.Reset
	bad := l.Event == record.Reset || l.Status != nil && l.Status.Code != int(codes.OK)
	if (flags.brief || flags.failed) && !ended || flags.failed && !bad {
		return nil
	}
	if a.json() {
		return a.printJSON(l)
	}
	var text string
	switch l.Event {
	case record.Call:
		text = p.bold(oneLine(l.Method))
		for _, name := range slices.Sorted(maps.Keys(l.Headers)) {
			text += fmt.Sprintf("\n%s%s: %s", strings.Repeat(" ", 12), oneLine(name), oneLine(strings.Join(l.Headers[name], ", ")))
		}
	case record.Request:
		text = p.dim("> ") + messageText(l)
	case record.Response:
		text = p.dim("< ") + messageText(l)
	case record.End, record.Reset:
		text = endText(p, l, c, flags.brief || flags.failed)
	default:
		return nil
	}
	_, err := fmt.Fprintf(a.stdout, "%10.3f  #%d %s\n", l.At/1e3, l.Call, text)
	return err
}

// messageText is a message on a line.
func messageText(l *record.Line) string {
	switch {
	case l.Message != nil && l.Why != "":
		return fmt.Sprintf("%s (%s)", oneLine(string(l.Message)), oneLine(l.Why))
	case l.Message != nil:
		return oneLine(string(l.Message))
	}
	return fmt.Sprintf("%d bytes (%s)", l.Size, oneLine(l.Why))
}

func endText(p painter, l *record.Line, c *shownCall, withMethod bool) string {
	text := ""
	if withMethod {
		text = p.bold(oneLine(c.line.Method)) + " "
	}
	switch {
	case l.Event == record.Reset && l.By == "connection":
		text += p.red("cut off: " + oneLine(l.Error))
	case l.Event == record.Reset:
		text += p.red(fmt.Sprintf("reset by the %s: %s", l.By, oneLine(l.Error)))
	case l.Status == nil:
		text += "ended"
	case l.Status.Code == int(codes.OK):
		text += p.green("OK")
	default:
		text += p.red(l.Status.Name) + " " + oneLine(l.Status.Message)
	}
	took := time.Duration((l.At - c.line.At) * 1e6)
	return fmt.Sprintf("%s in %s, %s, %s", text, span(took), amount(c.requests, "request", c.sent), amount(c.responses, "response", c.received))
}

func amount(n int, what string, bytes int) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s (%d B)", n, what, bytes)
}

// showUnended shows the calls that the record does not see the end of.
func (a *app) showUnended(open map[int64]*shownCall, flags showFlags, p painter) error {
	if a.json() {
		return nil
	}
	for _, n := range slices.Sorted(maps.Keys(open)) {
		c := open[n]
		if _, err := fmt.Fprintf(a.stdout, "%s  #%d %s %s\n", strings.Repeat(" ", 10), n, p.bold(oneLine(c.line.Method)), p.yellow("under way at the end of the record")); err != nil {
			return err
		}
	}
	return nil
}
