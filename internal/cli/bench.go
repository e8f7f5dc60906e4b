package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe"
	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/load"
)

type benchFlags struct {
	dataFlags
	concurrency int
	connections int
	rate        float64
	duration    time.Duration
	warmup      time.Duration
	count       int64
	deadline    time.Duration
	html        string
}

const (
	// maxWorkers bounds what one run can ask of this machine.
	maxWorkers = 10000
	// openWorkers are the calls under way at most in an open loop.
	openWorkers = 256
	maxRequests = 100000
	// benchGC lets the heap grow to nine times what is in use, a few dozen MiB.
	benchGC = 800
)

func (a *app) benchCommand() *cobra.Command {
	var conn connFlags
	var from schemaFlags
	var flags benchFlags
	cmd := &cobra.Command{
		Use:   "bench TARGET METHOD",
		Short: "Load a method and measure its latency",
		Long: `Load a method and measure its latency.

The closed loop keeps --concurrency calls under way: each begins when one before
it has ended. The open loop (--rate) begins so many calls a second whatever
becomes of them, and measures each from when it should have begun, so that a
server that stands still is seen as its users would see it.

The request is encoded once. A streaming call counts as one, from its first
request to the end of the stream. Ctrl-C ends a bench early and shows what was
measured. The exit status is 64 plus the commonest code if calls failed.`,
		Example: `  grpcpipe bench MyPipe greet.Greeter/SayHello -d '{"name":"World"}'
  grpcpipe bench MyPipe greet.Greeter/SayHello --concurrency 64 --duration 30s --html report.html
  grpcpipe bench MyPipe greet.Greeter/SayHello --rate 2000 -o json`,
		Args:              args("TARGET", "METHOD"),
		ValidArgsFunction: a.completeTarget(&conn, &from, true),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.bench(cmd.Context(), &conn, &from, flags, args[0], args[1])
		}),
	}
	f := cmd.Flags()
	flags.dataFlags.add(cmd)
	f.IntVarP(&flags.concurrency, "concurrency", "c", 0, "calls under way at the same time (default 1; with --rate at most 256)")
	f.IntVar(&flags.connections, "connections", 1, "connections to spread the calls over")
	f.Float64VarP(&flags.rate, "rate", "r", 0, "begin so many calls a second: the open loop")
	durationVar(f, &flags.duration, "duration", "", 10*time.Second, "how long to measure")
	durationVar(f, &flags.warmup, "warmup", "", time.Second, "how long to call before that without measuring")
	f.Int64VarP(&flags.count, "count", "n", 0, "end after so many calls (default none)")
	durationVar(f, &flags.deadline, "deadline", "", 0, "timeout of each call (default none)")
	f.StringVar(&flags.html, "html", "", "write a report with charts to this file; it needs nothing from the network")
	cmd.MarkFlagFilename("html", "html")
	conn.add(cmd)
	from.add(cmd)
	return cmd
}

func (f *benchFlags) check() error {
	switch {
	case f.concurrency < 0 || f.concurrency > maxWorkers:
		return usage("--concurrency %d: write a number from 1 to %d", f.concurrency, maxWorkers)
	case f.connections < 1 || f.connections > 1000:
		return usage("--connections %d: write a number from 1 to 1000", f.connections)
	case f.rate < 0 || f.rate > 1e6:
		return usage("--rate %v: write calls a second, up to 1000000", f.rate)
	case f.warmup < 0 || f.deadline < 0 || f.count < 0:
		return usage("--warmup, --deadline and --count can't be less than zero")
	}
	if f.concurrency == 0 {
		f.concurrency = 1
		if f.rate > 0 {
			f.concurrency = openWorkers
		}
	}
	if err := namesFile("--html", f.html); err != nil {
		return err
	}
	return positive("--duration", f.duration)
}

// A bench is one run.
type bench struct {
	target, method string
	flags          benchFlags
	desc           *grpc.StreamDesc
	path           string
	requests       []raw
	channels       []*grpc.ClientConn
	// ctx is that of the calls. It holds their headers and never ends: all calls
	// under way would share the lock and the list of the one that does. Ctrl-C
	// closes the channels instead.
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
	if err := b.prepare(ctx, a, cfg, from, method); err != nil {
		return err
	}
	if err := b.connect(ctx, cfg); err != nil {
		return err
	}
	defer b.close()
	defer context.AfterFunc(ctx, b.close)()
	var report *os.File
	if flags.html != "" { // before the work is done
		if report, err = os.Create(flags.html); err != nil {
			return usage("--html: %w", err)
		}
		defer report.Close()
	}
	// Collecting garbage more often than the memory of this machine calls for
	// would only be measured too.
	defer debug.SetGCPercent(debug.SetGCPercent(benchGC))
	res := load.Run(ctx, load.Config{
		Call: b.call, Workers: flags.concurrency, Rate: flags.rate, Warmup: flags.warmup,
		Duration: flags.duration, Count: flags.count, Progress: a.progress(),
	})
	a.endProgress()
	out := b.summary(res)
	if report != nil {
		if err := errors.Join(writeHTML(report, out), report.Close()); err != nil {
			return internal(err)
		}
	}
	if a.json() {
		err = a.printJSON(out)
	} else {
		err = a.printSummary(out)
	}
	return errors.Join(err, out.failure())
}

// prepare finds the method, checks that the server is there, and encodes the
// requests.
func (b *bench) prepare(ctx context.Context, a *app, cfg inspect.Config, from *schemaFlags, method string) error {
	in, err := a.openRequests(ctx, b.flags.dataFlags)
	if err != nil {
		return err
	}
	defer in.close()
	in.target = b.target
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
	m, err := sch.Method(method)
	if err != nil {
		return err
	}
	b.method, b.path = inspect.MethodPath(m)[1:], inspect.MethodPath(m)
	b.desc = &grpc.StreamDesc{StreamName: string(m.Name()), ClientStreams: m.IsStreamingClient(), ServerStreams: m.IsStreamingServer()}
	return b.encode(in, m, sch)
}

func (b *bench) encode(in *requests, m protoreflect.MethodDescriptor, sch *inspect.Schema) error {
	for {
		msg := dynamicpb.NewMessage(m.Input())
		err := in.next(msg, sch.Types())
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		data, err := proto.Marshal(msg)
		if err != nil {
			return internal(err)
		}
		b.requests = append(b.requests, raw{mem.BufferSlice{mem.SliceBuffer(data)}})
		if len(b.requests) > maxRequests {
			return usage("%s has more than %d requests: give a stream fewer", in.name, maxRequests)
		}
	}
	switch n := len(b.requests); {
	case n == 0 && in.given:
		return usage("%s is empty: write a request as JSON, or leave -d out for an empty request", in.name)
	case n == 0 && !m.IsStreamingClient():
		b.requests = append(b.requests, raw{mem.BufferSlice{mem.SliceBuffer{}}})
	case n > 1 && !m.IsStreamingClient():
		return usage("%s has more than one request, and %s takes one", in.name, m.Name())
	}
	return nil
}

// connect makes the channels that are measured: the library's own, without what
// this command puts around connections to tell their stages.
func (b *bench) connect(ctx context.Context, cfg inspect.Config) error {
	opts, err := inspect.Options(cfg)
	if err != nil {
		return err
	}
	// Not with each call, for which grpc would make a list of the options again.
	opts = append(opts, grpc.WithDefaultCallOptions(append(b.flags.options(), grpc.ForceCodecV2(rawCodec{}))...))
	for range b.flags.connections {
		cc, err := grpcpipe.NewClient(b.target, opts...)
		if err != nil {
			return internal(err)
		}
		b.channels = append(b.channels, cc)
		if err := inspect.Ready(ctx, cc, cfg); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) close() {
	for _, cc := range b.channels {
		cc.Close()
	}
}

// call makes one call.
func (b *bench) call(worker int) error {
	cc, ctx := b.channels[worker%len(b.channels)], b.ctx
	if b.flags.deadline > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, b.flags.deadline)
		defer cancel()
	}
	if !b.desc.ClientStreams && !b.desc.ServerStreams {
		return cc.Invoke(ctx, b.path, &b.requests[0], nothing)
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
		for i := range b.requests {
			if stream.SendMsg(&b.requests[i]) != nil {
				return // RecvMsg has the reason
			}
		}
		stream.CloseSend() // never fails
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
