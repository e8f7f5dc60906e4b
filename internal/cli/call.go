package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// callFlags are the flags of `call`, without those for connecting.
type callFlags struct {
	dataFlags
	deadline time.Duration
	full     bool
	verbose  bool
	defaults bool
	wait     bool
}

func (a *app) callCommand() *cobra.Command {
	var conn connFlags
	var from schemaFlags
	var flags callFlags
	cmd := &cobra.Command{
		Use:   "call TARGET METHOD",
		Short: "Call a method of any kind",
		Long: `Call a method, be it unary, or streaming in either direction or in both.

Requests are JSON, one after the other: on the command line (-d '{...}'), in a
file (-d @FILE) or on standard input (-d @-), from where they are sent as they
come. Without -d a method that takes one request gets an empty one, and a stream
none. Responses are JSON, indented for a unary method and otherwise, or with
-o json, one a line.

A header whose name ends in -bin has a value in base64.`,
		Example: `  grpcpipe call MyPipe greet.Greeter/SayHello -d '{"name":"World"}'
  grpcpipe call MyPipe greet.Greeter/SayHello -d @request.json --deadline 2s
  generate | grpcpipe call MyPipe grpc.testing.TestService/StreamingInputCall -d @-
  grpcpipe call MyPipe greet.Greeter/SayHello --full -H 'authorization: Bearer x'`,
		Args:              args("TARGET", "METHOD"),
		ValidArgsFunction: a.completeTarget(&conn, &from, true),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.call(cmd.Context(), &conn, &from, flags, args[0], args[1])
		}),
	}
	f := cmd.Flags()
	flags.dataFlags.add(cmd)
	durationVar(f, &flags.deadline, "deadline", "", 0, "timeout of the call (default none)")
	f.BoolVar(&flags.full, "full", false, "print one JSON object with the responses and headers, trailers, status, peer and times")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "print on standard error who the server is, headers, and the time of each stage")
	f.BoolVar(&flags.defaults, "emit-defaults", false, "print fields that have their default value too")
	f.BoolVar(&flags.wait, "wait", false, "wait for the server to start, for as long as --connect-timeout")
	conn.add(cmd)
	from.add(cmd)
	return cmd
}

// A callRun is one call under way.
type callRun struct {
	app     *app
	flags   callFlags
	method  protoreflect.MethodDescriptor
	schema  *inspect.Schema
	session *inspect.Session
	sent    metadata.MD
	out     *messagePrinter

	took             time.Duration
	headers, trailer metadata.MD
}

func (a *app) call(ctx context.Context, conn *connFlags, from *schemaFlags, flags callFlags, target, name string) error {
	if flags.deadline < 0 {
		return usage("--deadline %v: write a time of more than zero, such as 500ms or 5s", flags.deadline)
	}
	if flags.format == "text" && (flags.full || a.json()) {
		return usage("--format text excludes --full and -o json: leave out one of them")
	}
	cfg, headers, err := conn.config(target, true)
	if err != nil {
		return err
	}
	cfg.Wait = flags.wait
	in, err := a.openRequests(ctx, flags.dataFlags)
	if err != nil {
		return err
	}
	defer in.close()
	in.target = target
	s, err := inspect.Dial(ctx, cfg)
	if err != nil {
		return err
	}
	defer s.Close()
	sch, err := from.open(ctx, s)
	if err != nil {
		return err
	}
	defer sch.Close()
	m, err := sch.Method(name)
	if err != nil {
		return err
	}
	r := &callRun{app: a, flags: flags, method: m, schema: sch, session: s, sent: headers}
	r.out = &messagePrinter{app: a, types: sch.Types(), keep: flags.full, defaults: flags.defaults,
		lines: a.json() || m.IsStreamingServer(), text: flags.format == "text"}
	if flags.verbose {
		r.printConnected()
	}
	err = r.run(ctx, in)
	if ctx.Err() != nil {
		err = internal(errors.New("interrupted"))
	}
	if flags.verbose {
		r.printEnd()
	}
	if perr := r.printFull(err); perr != nil {
		return perr
	}
	return err
}

// run makes the call and prints the responses as they come.
func (r *callRun) run(ctx context.Context, in *requests) error {
	first, err := r.firstRequest(in)
	if err != nil {
		return err
	}
	if r.flags.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.flags.deadline)
		defer cancel()
	}
	began := time.Now()
	c, err := r.session.Start(ctx, r.schema, r.method, r.sent, r.flags.options()...)
	if err != nil {
		r.took = time.Since(began)
		return err
	}
	defer c.Cancel()
	sent := make(chan error, 1)
	go func() {
		err := r.send(c, in, first)
		sent <- err
		if err != nil {
			c.Cancel() // bad data ends the call
		}
	}()
	err = r.receive(c)
	r.took = time.Since(began)
	r.headers, r.trailer = c.Headers(), c.Trailers()
	select {
	case serr := <-sent:
		// Our own reason not to go on; what the server made of it follows.
		if asFailure(serr) != nil {
			return serr
		}
	default:
		// The server has answered without all requests: standard input may
		// stay open for ever.
	}
	return err
}

// firstRequest is the only request of a method that takes one. It is read before
// the call begins, so that bad data never reaches a server.
func (r *callRun) firstRequest(in *requests) (*dynamicpb.Message, error) {
	if r.method.IsStreamingClient() {
		return nil, in.check(r.method.Input(), r.schema.Types())
	}
	m := dynamicpb.NewMessage(r.method.Input())
	err := in.next(m, r.schema.Types())
	switch {
	case errors.Is(err, io.EOF) && in.given:
		return nil, usage("%s is empty: write a request as JSON, {} for an empty one, or leave -d out", in.name)
	case errors.Is(err, io.EOF):
		return m, nil
	case err != nil:
		return nil, err
	}
	if !in.stdin || in.hasMore() {
		if err := in.next(dynamicpb.NewMessage(r.method.Input()), r.schema.Types()); err == nil {
			return nil, usage("%s has more than one request, and %s takes one: call it once for each", in.name, r.method.Name())
		} else if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return m, nil
}

// send sends the requests. A failure is the user's data.
func (r *callRun) send(c *inspect.Call, in *requests, first *dynamicpb.Message) error {
	if first != nil {
		if err := c.Send(first); err != nil {
			return nil // the receiver learns the reason
		}
		return c.CloseSend()
	}
	for {
		m := c.NewRequest()
		err := in.next(m, r.schema.Types())
		if errors.Is(err, io.EOF) {
			return c.CloseSend()
		}
		if err != nil {
			return err
		}
		if err := c.Send(m); err != nil {
			return nil
		}
	}
}

func (r *callRun) receive(c *inspect.Call) error {
	for {
		m, err := c.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.out.print(m); err != nil {
			return err
		}
	}
}

// printConnected says on standard error how the connection came to be.
func (r *callRun) printConnected() {
	st, peer := r.session.Stages(), r.session.Peer()
	if r.app.json() {
		r.app.printEvent("connected", map[string]any{
			"path": r.session.Addr(), "peer": peerAsJSON(r.session.Addr(), peer), "request_headers": headersJSON(withoutSecrets(r.sent)),
			"timing_ms": map[string]float64{"open": ms(st.Open), "wait": ms(st.Wait), "tls": ms(st.TLS), "settings": ms(st.Settings)},
		})
		return
	}
	p := painter(r.app.wantsColor(r.app.stderr))
	line := func(label, text string) {
		fmt.Fprintf(r.app.stderr, "%s %s\n", p.dim(fmt.Sprintf("%-8s", label)), text)
	}
	line("server", r.session.Addr())
	if peer != nil {
		line("peer", peer.String())
	}
	line("open", span(st.Open))
	line("wait", span(st.Wait))
	if st.TLS > 0 {
		line("tls", span(st.TLS))
	}
	line("settings", span(st.Settings))
	for _, h := range headerLines(withoutSecrets(r.sent)) {
		line("sent", h)
	}
}

// printEnd says what came with the responses.
func (r *callRun) printEnd() {
	if r.app.json() {
		r.app.printEvent("ended", map[string]any{
			"headers": headersJSON(withoutSecrets(r.headers)), "trailers": headersJSON(withoutSecrets(r.trailer)), "timing_ms": map[string]float64{"call": ms(r.took)},
		})
		return
	}
	p := painter(r.app.wantsColor(r.app.stderr))
	line := func(label, text string) {
		fmt.Fprintf(r.app.stderr, "%s %s\n", p.dim(fmt.Sprintf("%-8s", label)), text)
	}
	for _, h := range headerLines(withoutSecrets(r.headers)) {
		line("header", h)
	}
	for _, h := range headerLines(withoutSecrets(r.trailer)) {
		line("trailer", h)
	}
	line("call", span(r.took))
}
