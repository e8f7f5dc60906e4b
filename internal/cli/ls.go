package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// watchInterval is how often --watch looks.
const watchInterval = 500 * time.Millisecond

func (a *app) lsCommand() *cobra.Command {
	var watch, details bool
	cmd := &cobra.Command{
		Use:   "ls [GLOB]",
		Short: "List the pipes of this machine, without opening any",
		Long: `List the pipes of this machine that match GLOB, in which * stands for any
characters. No pipe is opened, since that would take an instance from its server.

On Windows the table has the instances of each pipe and their maximum.
Elsewhere the list is of the sockets that .NET maps pipe names to, in $TMPDIR or
/tmp; on Linux the state says whether a process of this network namespace
listens on it: a stale one was left behind by a killed server.

--details opens each pipe once, which takes an instance for a moment, and adds
the owner, who may connect, and the server's process.`,
		Example: `  grpcpipe ls
  grpcpipe ls 'worker-*' -o json
  grpcpipe ls MyPipe --details
  grpcpipe ls --watch`,
		Args:              args("[GLOB]"),
		ValidArgsFunction: completePipe,
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			glob := "*"
			if len(args) > 0 {
				glob = args[0]
			}
			if watch {
				return a.watch(cmd.Context(), glob, details)
			}
			rows, err := list(cmd.Context(), glob, details)
			if err != nil {
				return err
			}
			if a.json() {
				return a.printJSON(rows)
			}
			if details && len(rows) > 0 {
				fmt.Fprintln(a.stderr, "grpcpipe: --details has taken an instance of each pipe for a moment")
			}
			if len(rows) == 0 {
				fmt.Fprintf(a.stderr, "grpcpipe: no pipe matches %s\n", oneLine(glob))
			}
			return a.printList(rows, details)
		}),
	}
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "keep running and show pipes as they come and go, until Ctrl-C")
	cmd.Flags().BoolVar(&details, "details", false, "open each pipe once for its owner, access and server process")
	return cmd
}

// list returns the pipes in order of their names.
func list(ctx context.Context, glob string, details bool) ([]inspect.Pipe, error) {
	rows, err := inspect.Pipes(glob)
	if err != nil {
		return nil, internal(err)
	}
	if details {
		inspect.AddDetails(ctx, rows)
	}
	return rows, nil
}

// printList prints the pipes: with their details a few lines for each, since
// they would be too wide for a table on most terminals.
func (a *app) printList(rows []inspect.Pipe, details bool) error {
	if !details || !isTerminal(a.stdout) {
		return printRows(a.stdout, rows, details)
	}
	var text bytes.Buffer
	if err := printRows(&text, rows, details); err != nil {
		return err
	}
	columns, fits := width(a.stdout), true
	for line := range strings.Lines(text.String()) {
		fits = fits && utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) <= columns
	}
	if fits {
		_, err := a.stdout.Write(text.Bytes())
		return err
	}
	return a.printBlocks(rows, columns)
}

// printBlocks prints each pipe over several lines.
func (a *app) printBlocks(rows []inspect.Pipe, columns int) error {
	p := painter(a.wantsColor(a.stdout))
	var b strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&b, "%s  %s\n", p.bold(oneLine(r.Name)), r.State)
		if inspect.HasInstances {
			fmt.Fprintf(&b, "  instances  %d of %s\n", r.Instances, most(r))
		}
		if d := r.Details; d != nil {
			for _, pair := range [][2]string{{"owner", d.Owner}, {"process", process(d)}, {"access", d.Access}} {
				text := strings.Join(wrap(orDash(pair[1]), max(columns-13, 20)), "\n"+strings.Repeat(" ", 13))
				fmt.Fprintf(&b, "  %-9s  %s\n", pair[0], text)
			}
		}
	}
	_, err := io.WriteString(a.stdout, b.String())
	return err
}

// most is the greatest number of instances in words.
func most(r inspect.Pipe) string {
	if r.MaxInstances < 0 {
		return "unlimited"
	}
	return fmt.Sprint(r.MaxInstances)
}

// process is the server's process, or why it isn't known.
func process(d *inspect.Details) string {
	switch {
	case d.Error != "":
		return oneLine(d.Error)
	case d.PID != 0:
		return strings.TrimSpace(fmt.Sprintf("%d %s", d.PID, d.Executable))
	}
	return "-"
}

func printRows(out io.Writer, rows []inspect.Pipe, details bool) error {
	w := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	head := "NAME\tSTATE"
	if inspect.HasInstances {
		head += "\tINSTANCES\tMAXIMUM"
	}
	if details {
		head += "\tOWNER\tPROCESS\tWHO MAY CONNECT"
	}
	fmt.Fprintln(w, head)
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s", oneLine(r.Name), r.State)
		if inspect.HasInstances {
			fmt.Fprintf(w, "\t%d\t%s", r.Instances, most(r))
		}
		if d := r.Details; d != nil {
			fmt.Fprintf(w, "\t%s\t%s\t%s", orDash(d.Owner), process(d), orDash(d.Access))
		}
		fmt.Fprintln(w)
	}
	return w.Flush()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return oneLine(s)
}

// watch shows what comes and goes: as a screen on a terminal, else as lines.
func (a *app) watch(ctx context.Context, glob string, details bool) error {
	screen := isTerminal(a.stdout) && !a.json() && enableEscapes(a.stdout)
	if screen {
		fmt.Fprint(a.stdout, "\x1b[?1049h\x1b[?25l")
		defer fmt.Fprint(a.stdout, "\x1b[?25h\x1b[?1049l")
	}
	ticker := time.NewTicker(watchInterval)
	defer ticker.Stop()
	before := map[string]inspect.Pipe{}
	var drawn []inspect.Pipe
	for first := true; ; first = false {
		rows, err := list(ctx, glob, details)
		if err != nil {
			return err
		}
		switch {
		case !screen:
			if err := a.printChanges(before, rows); err != nil {
				return err
			}
		case first || !slices.EqualFunc(drawn, rows, sameRow):
			if err := a.drawRows(glob, rows, details); err != nil {
				return err
			}
			drawn = rows
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func sameRow(a, b inspect.Pipe) bool {
	a.Details, b.Details = nil, nil
	return a == b
}

// drawRows fills the terminal, no further than it goes: a line that is wrapped
// would push the first ones out at the top.
func (a *app) drawRows(glob string, rows []inspect.Pipe, details bool) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "Pipes that match %s: %d, at %s; Ctrl-C stops\n\n", glob, len(rows), time.Now().Format(time.TimeOnly))
	room := max(height(a.stdout)-4, 1) // for the two lines above, the head and the end
	if len(rows) > room {
		room = max(room-1, 1)
	}
	shown := rows[:min(len(rows), room)]
	if err := printRows(&text, shown, details); err != nil {
		return err
	}
	if more := len(rows) - len(shown); more > 0 {
		fmt.Fprintf(&text, "and %d more\n", more)
	}
	_, err := io.WriteString(a.stdout, "\x1b[H\x1b[2J"+clip(text.String(), width(a.stdout)))
	return err
}

// clip cuts each line to a number of columns.
func clip(text string, columns int) string {
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if r := []rune(strings.TrimSuffix(line, "\n")); len(r) > columns {
			lines[i] = string(r[:columns-1]) + "…\n"
		}
	}
	return strings.Join(lines, "")
}

// printChanges prints a line for each pipe that has come, gone or changed.
func (a *app) printChanges(before map[string]inspect.Pipe, rows []inspect.Pipe) error {
	say := func(what string, r inspect.Pipe) error {
		if a.json() {
			return a.printJSON(map[string]any{"event": what, "pipe": r})
		}
		_, err := fmt.Fprintf(a.stdout, "%-9s %s\t%s\n", what, oneLine(r.Name), r.State)
		return err
	}
	now := map[string]bool{}
	for _, r := range rows {
		now[r.Name] = true
		old, was := before[r.Name]
		before[r.Name] = r
		var err error
		switch {
		case !was:
			err = say("added", r)
		case !sameRow(old, r):
			err = say("changed", r)
		}
		if err != nil {
			return err
		}
	}
	for name, r := range before {
		if !now[name] {
			delete(before, name)
			if err := say("removed", r); err != nil {
				return err
			}
		}
	}
	return nil
}
