package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/load"
)

// A bench is one run.
type bench struct {
	target, method string
	flags          benchFlags
	desc           *grpc.StreamDesc
	path           string
	payloads       *payloads
	clients        []client
	fast           bool // the clients are fastgrpc's
	// ctx is that of the calls. It holds their headers and never ends: all calls
	// under way would share the lock and the list of the one that does. Ctrl-C
	// closes the clients instead.
	ctx context.Context
}

func (a *app) bench(ctx context.Context, conn *connFlags, from *schemaFlags, flags benchFlags, target, method string) error {
	if err := flags.check(); err != nil {
		return err
	}
	cfg, md, err := conn.config(target, true)
	if err != nil {
		return err
	}
	b := &bench{target: target, flags: flags, ctx: context.WithoutCancel(ctx)}
	if len(md) > 0 {
		b.ctx = metadata.NewOutgoingContext(b.ctx, md)
	}
	done, err := b.prepare(ctx, a, cfg, from, method)
	if err != nil {
		return err
	}
	defer done()
	if err := b.connect(ctx, cfg); err != nil {
		return err
	}
	defer b.close()
	out, err := b.run(ctx, a)
	if err != nil {
		return err
	}
	if flags.earlier != nil {
		out.Compare = compare(flags.compare, flags.earlier, out)
	}
	if a.json() {
		err = a.printJSON(out)
	} else {
		err = a.printSummary(out)
	}
	if len(flags.failIf) > 0 {
		return errors.Join(err, out.judge(flags.failIf))
	}
	return errors.Join(err, out.failure())
}

// run makes the calls and writes the files.
func (b *bench) run(ctx context.Context, a *app) (*summary, error) {
	flags := &b.flags
	var html, csv *draft
	for _, f := range []struct {
		flag, path string
		file       **draft
	}{{"--html", flags.html, &html}, {"--csv", flags.csv, &csv}} { // before the work is done
		if f.path == "" {
			continue
		}
		var err error
		if *f.file, err = newDraft(f.path, 0o666); err != nil {
			return nil, usage("%s: %w", f.flag, err)
		}
		defer (*f.file).discard()
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(ctx, b.close)()
	b.payloads.start(ctx, cancel)
	cfg := load.Config{
		Call: b.call, Workers: flags.concurrency, Rate: flags.rate, Ramp: flags.ramp, Warmup: flags.warmup,
		Duration: flags.duration, Count: flags.count, CountErrors: flags.countErrors, Progress: a.progress(),
	}
	var calls *callLog
	if csv != nil {
		calls = newCallLog(csv)
		cfg.Each = calls.add
	}
	// Collecting garbage more often than the memory of this machine calls for
	// would only be measured too.
	defer debug.SetGCPercent(debug.SetGCPercent(benchGC))
	res := load.Run(ctx, cfg)
	a.endProgress()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return nil, err // a payload could not be made
	}
	out := b.summary(res)
	if calls != nil {
		if err := errors.Join(calls.end(), csv.finish()); err != nil {
			return nil, internal(err)
		}
	}
	if html != nil {
		if err := errors.Join(writeHTML(html, out), html.finish()); err != nil {
			return nil, internal(err)
		}
	}
	return out, nil
}

// prepare finds the method, checks that the server is there, and encodes the
// requests. done ends what payloads that are made on the way need.
func (b *bench) prepare(ctx context.Context, a *app, cfg inspect.Config, from *schemaFlags, method string) (done func(), err error) {
	in, err := a.openRequests(ctx, b.flags.dataFlags)
	if err != nil {
		return nil, err
	}
	defer in.close()
	in.target = b.target
	s, err := inspect.Dial(ctx, cfg)
	if err != nil {
		return nil, err
	}
	sch, err := from.open(ctx, s)
	if err != nil {
		s.Close()
		return nil, err
	}
	done = func() { sch.Close(); s.Close() }
	defer func() {
		if err != nil {
			done()
		}
	}()
	m, err := sch.Method(method)
	if err != nil {
		return nil, err
	}
	if (b.flags.streamCount > 0 || b.flags.streamPause > 0) && !m.IsStreamingClient() {
		return nil, usage("--stream-count and --stream-interval are for methods that take a stream: %s takes one request", m.Name())
	}
	b.method, b.path = inspect.MethodPath(m)[1:], inspect.MethodPath(m)
	b.desc = &grpc.StreamDesc{StreamName: string(m.Name()), ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer()}
	b.payloads, err = newPayloads(in, m, sch, &b.flags)
	return done, err
}

// connect makes the clients that are measured, without what this command puts
// around connections to tell their stages.
func (b *bench) connect(ctx context.Context, cfg inspect.Config) error {
	// Not with each call, for which grpc would make a list of the options again.
	opts := append(b.flags.options(), grpc.ForceCodecV2(rawCodec{}))
	make := fullClient
	if b.fast, make = b.flags.client != clientGo && canBeFast(cfg), fullClient; b.fast {
		make = fastClient
	} else if b.flags.client == clientFast {
		return usage("--client %s: it calls one pipe, unix:PATH or host:port, and sends no keep-alive: leave the flag out", clientFast)
	}
	for range b.flags.connections {
		cc, err := make(ctx, cfg, opts)
		if err != nil {
			b.close()
			return err
		}
		b.clients = append(b.clients, cc)
	}
	return nil
}

func (b *bench) close() {
	for _, cc := range b.clients {
		cc.Close()
	}
}

// call makes one call.
func (b *bench) call(worker int) error {
	cc, ctx := b.clients[worker%len(b.clients)], b.ctx
	requests := b.payloads.next()
	if requests == nil {
		return context.Canceled // the run has ended
	}
	if b.flags.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.flags.deadline)
		defer cancel()
	}
	if !b.desc.ClientStreams && !b.desc.ServerStreams {
		return cc.Invoke(ctx, b.path, &requests[0], nothing)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := cc.NewStream(ctx, b.desc, b.path)
	if err != nil {
		return err
	}
	// The requests go out while the responses come in, for either end may wait
	// for the other.
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		b.send(ctx, stream, requests)
	}()
	for {
		err := stream.RecvMsg(nothing)
		if err == nil && b.desc.ServerStreams {
			continue
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		cancel()
		<-sent
		return err
	}
}

// send sends the requests of a stream. RecvMsg has the reason why one fails.
func (b *bench) send(ctx context.Context, stream grpc.ClientStream, requests []raw) {
	n := len(requests)
	if b.flags.streamCount > 0 && n > 0 {
		n = b.flags.streamCount
	}
	for i := range n {
		if i > 0 && b.flags.streamPause > 0 {
			select {
			case <-time.After(b.flags.streamPause):
			case <-ctx.Done():
				return
			}
		}
		if stream.SendMsg(&requests[i%len(requests)]) != nil {
			return
		}
	}
	stream.CloseSend() // never fails
}

// raw is a message that is already encoded.
type raw struct{ data mem.BufferSlice }

// rawCodec hands messages on as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	r, ok := v.(*raw)
	if !ok {
		return nil, fmt.Errorf("%T is not encoded", v)
	}
	return r.data, nil
}

// Unmarshal leaves a response as it is: the bench counts, it doesn't read.
func (rawCodec) Unmarshal(mem.BufferSlice, any) error { return nil }

// nothing is what responses are decoded into.
var nothing = &raw{}
