package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
	"github.com/grpcpipe/grpcpipe/internal/record"
)

type replayFlags struct {
	against  string
	speed    float64
	deadline time.Duration
	ignore   []string
}

func (a *app) replayCommand() *cobra.Command {
	var conn connFlags
	var from schemaFlags
	var flags replayFlags
	cmd := &cobra.Command{
		Use:   "replay FILE",
		Short: "Make the calls of a record again and compare what comes back",
		Long: `Make the calls of a record that proxy --record has made again, at the times at
which they were made, and compare responses and statuses with those of the record.
The server is the one of the record, or the one that --against names.

The headers of the record are sent too, but for secrets that it does not have:
-H adds and replaces. Calls whose requests had secrets, or could not be decoded,
are skipped. The exit status is 0 if nothing differs, 4 if something does.`,
		Example: `  grpcpipe replay calls.ndjson
  grpcpipe replay calls.ndjson --against MyPipe-next --speed 0
  grpcpipe replay calls.ndjson --ignore timestamp -H 'authorization: Bearer x'`,
		Args: args("FILE"),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.replay(cmd.Context(), &conn, &from, flags, args[0])
		}),
	}
	f := cmd.Flags()
	f.StringVar(&flags.against, "against", "", "the server to call (default the one of the record)")
	f.Float64Var(&flags.speed, "speed", 1, "how many times as fast as recorded; with 0 a call waits only for those that had ended before it")
	durationVar(f, &flags.deadline, "deadline", "", 30*time.Second, "timeout of each call; 0 for none")
	f.StringArrayVar(&flags.ignore, "ignore", nil, "name of a field, as in JSON, that may differ wherever it is (repeatable)")
	cmd.RegisterFlagCompletionFunc("against", func(cmd *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return pipeNames(cmd, begun)
	})
	conn.add(cmd)
	from.add(cmd)
	return cmd
}

func (a *app) replay(ctx context.Context, conn *connFlags, from *schemaFlags, flags replayFlags, path string) error {
	if !(flags.speed >= 0 && flags.speed <= 1e6) {
		return usage("--speed %v: write a number from 0 to 1000000", flags.speed)
	}
	if flags.deadline < 0 {
		return usage("--deadline %v: write a time, or 0 for none", flags.deadline)
	}
	if err := checkRecord(path); err != nil {
		return err
	}
	in, done, err := a.openRecord(ctx, path)
	if err != nil {
		return err
	}
	defer done()
	to := flags.against
	if to == "" {
		if to = in.First.To; to == "" {
			return usage("%s does not say which server was recorded: give --against TARGET", path)
		}
	}
	cfg, headers, err := conn.config(to, true)
	if err != nil {
		return err
	}
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
	if _, err := sch.Services(); err != nil {
		return err // nothing could be encoded
	}
	r := &record.Replay{
		Session: s, Schema: sch, Headers: headers, Speed: flags.speed, Deadline: flags.deadline, Ignore: flags.ignore,
		Found: a.showOutcome,
	}
	totals, err := r.Run(ctx, in)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return usageError(err)
	}
	return a.replayed(totals, to)
}

// showOutcome shows a call that was not the same.
func (a *app) showOutcome(o record.Outcome) {
	if a.json() {
		a.printJSON(o) // what becomes of the calls does not depend on it
		return
	}
	p := painter(a.wantsColor(a.stdout))
	if o.Skipped != "" {
		fmt.Fprintf(a.stdout, "#%d %s %s: %s\n", o.Call, p.bold(oneLine(o.Method)), p.yellow("skipped"), oneLine(o.Skipped))
	}
	for _, d := range o.Differs {
		fmt.Fprintf(a.stdout, "#%d %s %s: %s\n", o.Call, p.bold(oneLine(o.Method)), p.red("differs"), oneLine(d))
	}
}

func (a *app) replayed(t record.Totals, to string) error {
	var err error
	if a.json() {
		err = a.printJSON(map[string]any{"target": to, "totals": t})
	} else {
		_, err = fmt.Fprintf(a.stdout, "%d calls to %s: %d the same, %d differ, %d skipped\n", t.Calls, to, t.Same, t.Differ, t.Skipped)
	}
	if err == nil && t.Differ > 0 {
		return &failure{exit: exitFailed, err: fmt.Errorf("%d of %d calls differ from the record", t.Differ, t.Calls)}
	}
	return err
}
