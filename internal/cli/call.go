package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
)

// callFlags are the flags of `call`, without those for connecting.
type callFlags struct {
	data     string
	headers  []string
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
	f.StringVarP(&flags.data, "data", "d", "", "the request or requests: JSON, @FILE or @- for standard input")
	f.StringArrayVarP(&flags.headers, "header", "H", nil, "a header to send, as 'name: value' (repeatable)")
	f.DurationVar(&flags.deadline, "deadline", 0, "the most time for the call (default none)")
	f.BoolVar(&flags.full, "full", false, "print one JSON object with the responses and headers, trailers, status, peer and times")
	f.BoolVarP(&flags.verbose, "verbose", "v", false, "print on standard error who the server is, headers, and the time of each stage")
	f.BoolVar(&flags.defaults, "emit-defaults", false, "print fields that have their default value too")
	f.BoolVar(&flags.wait, "wait", false, "wait for the server to come, for as long as --connect-timeout")
	conn.add(cmd)
	from.add(cmd)
	return cmd
}

// A callRun is one call under way.
type callRun struct {
	app     *app
	flags   callFlags
	method  protoreflect.MethodDescriptor
	schema  *schema
	session *session
	sent    metadata.MD
	out     *messagePrinter

	began            time.Time
	took             time.Duration
	headers, trailer metadata.MD
}

func (a *app) call(ctx context.Context, conn *connFlags, from *schemaFlags, flags callFlags, target, name string) error {
	if flags.deadline < 0 {
		return usage("--deadline %v: write a time of more than zero, such as 500ms or 5s", flags.deadline)
	}
	md, err := parseHeaders(flags.headers)
	if err != nil {
		return err
	}
	in, err := a.openRequests(flags.data)
	if err != nil {
		return err
	}
	defer in.close()
	s, err := conn.connect(ctx, target, flags.wait)
	if err != nil {
		return err
	}
	defer s.Close()
	sch, done, err := from.open(ctx, s)
	if err != nil {
		return err
	}
	defer done()
	m, err := sch.method(name)
	if err != nil {
		return err
	}
	r := &callRun{app: a, flags: flags, method: m, schema: sch, session: s, sent: md}
	r.out = &messagePrinter{app: a, types: sch.types, keep: flags.full, defaults: flags.defaults,
		lines: a.json() || m.IsStreamingServer()}
	if flags.verbose {
		r.printWay()
	}
	err = r.run(metadata.NewOutgoingContext(ctx, md), in)
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
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if r.flags.deadline > 0 {
		ctx, cancel = context.WithTimeout(ctx, r.flags.deadline)
		defer cancel()
	}
	first, err := r.firstRequest(in)
	if err != nil {
		return err
	}
	desc := &grpc.StreamDesc{StreamName: string(r.method.Name()), ClientStreams: r.method.IsStreamingClient(), ServerStreams: r.method.IsStreamingServer()}
	r.began = time.Now()
	stream, err := r.session.NewStream(ctx, desc, path(r.method))
	if err != nil {
		r.took = time.Since(r.began)
		return r.failed(err)
	}
	sent := make(chan error, 1)
	go func() {
		err := r.send(stream, in, first)
		sent <- err
		if err != nil {
			cancel() // bad data ends the call
		}
	}()
	err = r.receive(stream)
	r.took = time.Since(r.began)
	r.headers, _ = stream.Header() // its error is the call's
	r.trailer = stream.Trailer()
	select {
	case serr := <-sent:
		// Our own reason not to go on; what the server made of it follows.
		var f *failure
		if errors.As(serr, &f) {
			return serr
		}
	default:
		// The server has answered without all requests: standard input may
		// stay open for ever.
	}
	if err != nil {
		return r.failed(err)
	}
	return nil
}

func (r *callRun) failed(err error) error {
	var f *failure
	if errors.As(err, &f) {
		return err
	}
	return rpcFailed(path(r.method)[1:], err)
}

// firstRequest is the only request of a method that takes one. It is read before
// the call begins, so that bad data never reaches a server.
func (r *callRun) firstRequest(in *requests) (*dynamicpb.Message, error) {
	if r.method.IsStreamingClient() {
		return nil, nil
	}
	m := dynamicpb.NewMessage(r.method.Input())
	err := in.next(m, r.schema.types)
	switch {
	case errors.Is(err, io.EOF) && in.given:
		return nil, usage("%s is empty: write a request as JSON, {} for an empty one, or leave -d out", in.name)
	case errors.Is(err, io.EOF):
		return m, nil
	case err != nil:
		return nil, err
	}
	if !in.stdin || in.atEnd() {
		if err := in.next(dynamicpb.NewMessage(r.method.Input()), r.schema.types); err == nil {
			return nil, usage("%s has more than one request, and %s takes one: call it once for each", in.name, r.method.Name())
		} else if !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
	return m, nil
}

// send sends the requests. An error that matches *failure is the user's data.
func (r *callRun) send(stream grpc.ClientStream, in *requests, first *dynamicpb.Message) error {
	if first != nil {
		if err := stream.SendMsg(first); err != nil {
			return err // the receiver learns the reason
		}
		return stream.CloseSend()
	}
	for {
		m := dynamicpb.NewMessage(r.method.Input())
		err := in.next(m, r.schema.types)
		if errors.Is(err, io.EOF) {
			return stream.CloseSend()
		}
		if err != nil {
			return err
		}
		if err := stream.SendMsg(m); err != nil {
			return nil
		}
	}
}

func (r *callRun) receive(stream grpc.ClientStream) error {
	for {
		m := dynamicpb.NewMessage(r.method.Output())
		err := stream.RecvMsg(m)
		if errors.Is(err, io.EOF) {
			if !r.method.IsStreamingServer() {
				return status.Error(codes.Internal, "the server ended a unary call without a response")
			}
			return nil
		}
		if err != nil {
			return err
		}
		if err := r.out.print(m); err != nil {
			return err
		}
		if !r.method.IsStreamingServer() {
			return nil
		}
	}
}

// printWay says on standard error how the connection came to be.
func (r *callRun) printWay() {
	p := painter(r.app.wantsColour(r.app.stderr))
	w := r.app.stderr
	fmt.Fprintf(w, "%s %s\n", p.dim("server  "), r.session.trace.addr)
	if peer := r.session.trace.peer(); peer != nil {
		fmt.Fprintf(w, "%s %s\n", p.dim("peer    "), peer)
	}
	st := r.session.trace.stages()
	fmt.Fprintf(w, "%s %s\n", p.dim("open    "), span(st.Open))
	fmt.Fprintf(w, "%s %s\n", p.dim("wait    "), span(st.Wait))
	if st.TLS > 0 {
		fmt.Fprintf(w, "%s %s\n", p.dim("tls     "), span(st.TLS))
	}
	fmt.Fprintf(w, "%s %s\n", p.dim("settings"), span(st.Settings))
	for _, h := range headerLines(r.sent) {
		fmt.Fprintf(w, "%s %s\n", p.dim(">"), h)
	}
}

// printEnd says what came with the responses.
func (r *callRun) printEnd() {
	p := painter(r.app.wantsColour(r.app.stderr))
	for _, md := range []metadata.MD{r.headers, r.trailer} {
		for _, h := range headerLines(md) {
			fmt.Fprintf(r.app.stderr, "%s %s\n", p.dim("<"), h)
		}
	}
	fmt.Fprintf(r.app.stderr, "%s %s\n", p.dim("call    "), span(r.took))
}
