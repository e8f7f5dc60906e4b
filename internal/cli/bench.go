package cli

import (
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/load"
)

type benchFlags struct {
	dataFlags
	template bool
	rows     string

	concurrency int
	ramp        time.Duration
	connections int
	client      string
	rateText    string
	rate        load.Rate
	duration    time.Duration
	warmup      time.Duration
	count       int64
	deadline    time.Duration
	streamCount int
	streamPause time.Duration

	countErrors bool
	tagTexts    []string
	tags        map[string]string
	html, csv   string
	failTexts   []string
	failIf      []failCondition
	compare     string
	earlier     *summary
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
it has ended. The open loop (--rate) begins that number of calls a second whatever
becomes of them, and measures each from when it should have begun, so that a
server that stands still is seen as its users would see it. --rate 100..1000
raises the rate over the duration, --rate 100..1000/10 in ten steps.

Several requests in -d are used in turn, one for each call; a method that takes a
stream gets all of them in each call. --rows FILE has one request in each row: CSV
with the names of fields in its first line, such as user.name, or JSON, one
object a line. --template expands -d for each call as a Go template with .N, the
number of the call, .Row, the columns of a row of --rows, and the functions
random FROM TO, randomText LENGTH, randomBytes LENGTH (in base64), pick A B..., uuid, now
and json VALUE. All rows are checked before anything is sent.

--fail-if ends the command with status 4 if a condition holds: 'p99>5ms',
'mean>=1ms', 'rate<1000', 'errors>0', 'error-rate>1%', 'missed>0'. With --compare
EARLIER.json, which is the output of bench -o json, a table shows what has changed
and how much the seconds of each run differ by themselves, and conditions may
be relative: 'p99>+10%'.

A streaming call counts as one, from its first request to the end of the stream.
Ctrl-C ends a bench early and shows what was measured. The exit status is 64 plus
the most frequent code if calls failed, unless --fail-if says what is a failure.`,
		Example: `  grpcpipe bench MyPipe greet.Greeter/SayHello -d '{"name":"World"}'
  grpcpipe bench MyPipe greet.Greeter/SayHello --concurrency 64 --duration 30s --html report.html
  grpcpipe bench MyPipe greet.Greeter/SayHello --rate 2000 -o json > before.json
  grpcpipe bench MyPipe greet.Greeter/SayHello --rate 2000 --compare before.json --fail-if 'p99>+10%'
  grpcpipe bench MyPipe greet.Greeter/SayHello --template -d '{"name":"user {{.N}}"}'
  grpcpipe bench MyPipe greet.Greeter/SayHello --rows users.csv`,
		Args:              args("TARGET", "METHOD"),
		ValidArgsFunction: a.completeTarget(&conn, &from, true),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.bench(cmd.Context(), &conn, &from, flags, args[0], args[1])
		}),
	}
	f := cmd.Flags()
	flags.dataFlags.add(cmd)
	f.BoolVar(&flags.template, "template", false, "expand -d for each call as a Go template (see above)")
	f.StringVar(&flags.rows, "rows", "", "file with a request in each row: CSV if its name ends in .csv, else JSON, one a line")
	f.IntVarP(&flags.concurrency, "concurrency", "c", 0, "calls under way at the same time (default 1; with --rate at most 256)")
	durationVar(f, &flags.ramp, "ramp", "", 0, "time over which the calls of the closed loop start, one after the other (default at once)")
	f.IntVar(&flags.connections, "connections", 1, "connections to spread the calls over")
	f.StringVar(&flags.client, "client", "", "client to drive the load through: fastgrpc or grpc-go (default fastgrpc if it can)")
	cmd.RegisterFlagCompletionFunc("client", cobra.FixedCompletions([]string{clientFast, clientGo}, cobra.ShellCompDirectiveNoFileComp))
	f.StringVarP(&flags.rateText, "rate", "r", "", "calls to begin a second, the open loop: N, FROM..TO for a ramp, FROM..TO/STEPS for steps")
	durationVar(f, &flags.duration, "duration", "", 10*time.Second, "how long to measure")
	durationVar(f, &flags.warmup, "warmup", "", time.Second, "how long to call before that without measuring")
	f.Int64VarP(&flags.count, "count", "n", 0, "number of calls after which to end (default none)")
	durationVar(f, &flags.deadline, "deadline", "", 0, "timeout of each call (default none)")
	f.IntVar(&flags.streamCount, "stream-count", 0, "requests to send in each stream, the given ones over and over (default each once)")
	durationVar(f, &flags.streamPause, "stream-interval", "", 0, "time between two requests of a stream (default none)")
	f.BoolVar(&flags.countErrors, "count-errors", false, "put failed calls among the latencies")
	f.StringArrayVar(&flags.tagTexts, "tag", nil, "name=value to keep with the results (repeatable)")
	f.StringVar(&flags.html, "html", "", "write a report with charts to this file; it needs nothing from the network")
	f.StringVar(&flags.csv, "csv", "", "write each call to this file: when it began, how long it took, its status")
	f.StringArrayVar(&flags.failTexts, "fail-if", nil, "condition under which the exit status is 4, such as 'p99>5ms' (repeatable)")
	f.StringVar(&flags.compare, "compare", "", "file with the output of an earlier bench -o json to compare with")
	cmd.MarkFlagFilename("html", "html")
	cmd.MarkFlagFilename("csv", "csv")
	cmd.MarkFlagFilename("rows", "csv", "json", "ndjson")
	cmd.MarkFlagFilename("compare", "json")
	conn.add(cmd)
	from.add(cmd)
	return cmd
}

func (f *benchFlags) check() error {
	var err error
	if f.rateText != "" {
		if f.rate, err = parseRate(f.rateText); err != nil {
			return err
		}
	}
	switch {
	case f.concurrency < 0 || f.concurrency > maxWorkers:
		return usage("--concurrency %d: write a number from 1 to %d", f.concurrency, maxWorkers)
	case f.client != "" && f.client != clientFast && f.client != clientGo:
		return usage("--client %q: write %s or %s", f.client, clientFast, clientGo)
	case f.connections < 1 || f.connections > 1000:
		return usage("--connections %d: write a number from 1 to 1000", f.connections)
	case f.warmup < 0 || f.deadline < 0 || f.count < 0 || f.ramp < 0 || f.streamPause < 0 || f.streamCount < 0:
		return usage("--warmup, --deadline, --count, --ramp, --stream-interval and --stream-count can't be less than zero")
	case f.streamCount > maxRequests:
		return usage("--stream-count %d: write a number up to %d", f.streamCount, maxRequests)
	case f.ramp > 0 && f.rate.From > 0:
		return usage("--ramp is for the closed loop: with --rate write FROM..TO")
	case f.template && f.data == "":
		return usage("--template expands -d: give it too")
	case f.rows != "" && f.data != "" && !f.template:
		return usage("--rows and -d exclude each other without --template: leave one out, or add --template")
	}
	if f.concurrency == 0 {
		f.concurrency = 1
		if f.rate.From > 0 {
			f.concurrency = openWorkers
		}
	}
	if f.tags, err = parseTags(f.tagTexts); err != nil {
		return err
	}
	if f.compare != "" {
		if f.earlier, err = readSummary(f.compare); err != nil {
			return err
		}
	}
	if f.failIf, err = parseConditions(f.failTexts, f.earlier); err != nil {
		return err
	}
	if err := errors.Join(namesFile("--html", f.html), namesFile("--csv", f.csv)); err != nil {
		return err
	}
	return positive("--duration", f.duration)
}
