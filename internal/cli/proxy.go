package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/cli/relay"
	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

type proxyFlags struct {
	conn    connFlags
	from    schemaFlags
	access  []string
	drain   time.Duration
	dump    bool
	record  string
	secrets bool
	quiet   bool
}

func (a *app) proxyCommand() *cobra.Command {
	var flags proxyFlags
	cmd := &cobra.Command{
		Use:   "proxy FROM TO",
		Short: "Relay connections between pipes, Unix sockets, TCP on loopback and standard input and output",
		Long: `Listen on FROM and connect each of its connections to TO. Either is

  MyPipe, npipe:MyPipe   a pipe, in any spelling of a target
  unix:/run/me/my.sock   a Unix socket, also on Windows
  tcp:127.0.0.1:5000     TCP on this machine's loopback; port 0 is any free one
  -                      standard input and output: one connection, then the end

A busy TO is retried for --connect-timeout. That one side has ended is passed on
where both kinds can: TCP, Unix sockets and standard output, not pipes. Ctrl-C
stops accepting, gives connections --drain to end, then cuts them; a second
Ctrl-C stops at once.

--record writes each call to a file: method, headers, messages as JSON, status and
times. The server's reflection, or --proto, says how to decode messages. Secrets
are left out, by the names of headers and fields, and so are messages that can't
be decoded, unless --record-secrets is there.

Only this user can connect to a pipe or Unix socket that proxy makes; --access
lets others into a pipe: ` + accessWords + `. Any user of this machine may
connect to a TCP port, also from a browser.`,
		Example: `  grpcpipe proxy tcp:127.0.0.1:5000 MyPipe
  grpcpipe proxy MyPipe unix:/run/me/my.sock --access local-users
  socat UNIX-LISTEN:/tmp/my.sock,fork EXEC:'grpcpipe.exe proxy - MyPipe'
  grpcpipe proxy MyPipe-seen MyPipe --dump
  grpcpipe proxy MyPipe-seen MyPipe --record calls.ndjson`,
		Args:              args("FROM", "TO"),
		ValidArgsFunction: completeEnds,
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.proxy(cmd.Context(), flags, args[0], args[1])
		}),
	}
	f := cmd.Flags()
	f.StringSliceVar(&flags.access, "access", nil, "users besides this one who may connect to a pipe FROM (see above; repeatable)")
	durationVar(f, &flags.drain, "drain", "", 5*time.Second, "time that connections get to end after Ctrl-C")
	f.StringVar(&flags.record, "record", "", "write the calls to this file, for show and replay, without secrets")
	f.BoolVar(&flags.secrets, "record-secrets", false, "keep secrets in the record, and messages that can't be decoded")
	cmd.MarkFlagFilename("record")
	flags.conn.addTrust(cmd)
	flags.from.add(cmd)
	f.BoolVar(&flags.dump, "dump", false, "show the HTTP/2 frames on standard error, without messages and secrets")
	f.BoolVarP(&flags.quiet, "quiet", "q", false, "print errors only")
	return cmd
}

// completeEnds completes the names of pipes for both sides.
func completeEnds(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return pipeNames(cmd, begun)
}

func (a *app) proxy(ctx context.Context, flags proxyFlags, fromText, toText string) error {
	if err := positive("--connect-timeout", flags.conn.connectTimeout); err != nil {
		return err
	}
	switch {
	case flags.record == "" && (flags.secrets || !flags.from.source.Empty()):
		return usage("--record-secrets, --proto and --protoset are for --record: give it too")
	case flags.record != "":
		if err := namesFile("--record", flags.record); err != nil {
			return err
		}
	}
	if flags.drain < 0 {
		return usage("--drain %v: write a time, or 0s for none", flags.drain)
	}
	trust, err := flags.conn.trust()
	if err != nil {
		return err
	}
	from, err := parseEndpoint(fromText)
	if err != nil {
		return err
	}
	to, err := parseEndpoint(toText)
	if err != nil {
		return err
	}
	if from == to {
		return usage("%s is both FROM and TO: name two different ends", from)
	}
	if (from.kind == "stdio" || to.kind == "stdio") && (isTerminal(a.stdin) || isTerminal(a.stdout)) {
		return usage("standard input and output are a terminal, where HTTP/2 can be neither typed nor read: run this from another program, such as socat or ssh")
	}
	lis, err := a.listenOn(ctx, from, flags.access)
	if err != nil {
		return err
	}
	var rec *recording
	if flags.record != "" {
		if rec, err = a.startRecording(ctx, &flags, from, to); err != nil {
			lis.Close()
			return err
		}
	}
	say := &sayer{app: a, quiet: flags.quiet}
	if from.kind != "stdio" {
		say.listening(from, lis.Addr().String(), to)
	}
	if from.kind == "tcp" {
		say.line("warning", nil, "warning: any user of this machine may connect to %s, and the other end takes them for you", lis.Addr())
	}
	r := &relay.Relay{
		Listener: lis, Dial: a.dialTo(to, trust, flags.conn.connectTimeout), Drain: flags.drain,
		Once: from.kind == "stdio" || to.kind == "stdio",
		Log: func(n int, text string) {
			say.always("connection", map[string]any{"connection": n}, "connection %d: %s", n, oneLine(text))
		},
	}
	if r.Once && from.kind == "stdio" {
		r.Log = func(int, string) {} // it is the command's error
	}
	r.Watch = a.watchers(&flags, say, rec)
	totals, err := r.Run(ctx)
	if rec != nil {
		err = errors.Join(err, rec.end())
	}
	if totals.CutAtShutdown > 0 {
		say.always("cut", map[string]any{"connections": totals.CutAtShutdown}, "%d connections were cut after %v", totals.CutAtShutdown, flags.drain)
	}
	if from.kind != "stdio" {
		say.line("ended", map[string]any{"connections": totals.Connections, "bytes_there": totals.There, "bytes_back": totals.Back}, "%d connections, %d bytes there, %d bytes back", totals.Connections, totals.There, totals.Back)
	}
	if err != nil && r.Once {
		return inspect.Unreached(err, flagWords)
	}
	return err
}

// A sayer writes whole lines to standard error, from any goroutine.
type sayer struct {
	app   *app
	quiet bool
	mu    sync.Mutex
}

// listening says where proxy listens: with -o json on standard output, where a
// script that gave port 0 reads it.
func (s *sayer) listening(from endpoint, addr string, to endpoint) {
	if s.app.json() && to.kind != "stdio" {
		s.app.printJSON(map[string]any{"event": "listening", "kind": from.kind, "address": addr, "to": to.String()}) // the relay goes on without a reader
		return
	}
	s.line("listening", map[string]any{"kind": from.kind, "address": addr, "to": to.String()}, "listening on %s:%s, relaying to %s", from.kind, addr, to)
}

func (s *sayer) line(event string, fields map[string]any, format string, args ...any) {
	if !s.quiet {
		s.always(event, fields, format, args...)
	}
}

func (s *sayer) always(event string, fields map[string]any, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.app.json() {
		fmt.Fprintf(s.app.stderr, "grpcpipe: "+format+"\n", args...)
		return
	}
	if fields == nil {
		fields = map[string]any{}
	}
	fields["message"] = fmt.Sprintf(format, args...)
	s.app.printEvent(event, fields)
}

func (s *sayer) frame(f relay.Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.app.json() {
		other := *s.app
		other.stdout = s.app.stderr
		other.printJSON(f) // standard error has no other to complain to
		return
	}
	fmt.Fprintln(s.app.stderr, f)
}
