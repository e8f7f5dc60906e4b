package cli

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

func (a *app) doctorCommand() *cobra.Command {
	var conn connFlags
	cmd := &cobra.Command{
		Use:   "doctor TARGET",
		Short: "Find out why a server can't be reached, and what to do about it",
		Long: `Find out why a server can't be reached. doctor checks the name, whether the pipe
is there, whether it is busy, whom it admits, who owns it, whether it speaks
HTTP/2 or TLS, which :authority it takes, its health and its reflection. Every
trouble comes with the next step. Of several pipes each is checked.

It connects several times, and so takes instances of the pipe for a moment. The
exit status is 0 if there is no trouble (warnings don't count), 3 if the server
can't be reached, or 64 plus the status of the call that failed.`,
		Example: `  grpcpipe doctor MyPipe
  grpcpipe doctor MyPipe -o json`,
		Args:              args("TARGET"),
		ValidArgsFunction: completePipe,
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			cfg, _, err := conn.config(args[0], false)
			if err != nil {
				return err
			}
			show := a.showFinding
			if a.json() {
				show = nil
			}
			return a.conclude(inspect.Examine(cmd.Context(), cfg, show))
		}),
	}
	conn.add(cmd)
	return cmd
}

// showFinding shows a finding to a person.
func (a *app) showFinding(f inspect.Finding) {
	p := painter(a.wantsColor(a.stdout))
	mark := map[string]string{inspect.OK: p.green("ok     "), inspect.Warning: p.yellow("warning"), inspect.Trouble: p.red("trouble")}[f.Result]
	columns := math.MaxInt
	if isTerminal(a.stdout) {
		columns = max(width(a.stdout)-margin, 20)
	}
	if f.Check == "name" && f.Pipe != "" {
		fmt.Fprintf(a.stdout, "%s\n", p.bold(oneLine(f.Pipe)))
	}
	indent := "\n" + strings.Repeat(" ", margin)
	fmt.Fprintf(a.stdout, "%s  %-10s  %s\n", mark, f.Check, strings.Join(wrap(oneLine(f.Text), columns), indent))
	if f.Next != "" {
		next := strings.Join(wrap("next: "+oneLine(f.Next), columns), indent)
		fmt.Fprintf(a.stdout, "%s%s\n", indent[1:], strings.Replace(next, "next:", p.bold("next:"), 1))
	}
}

// margin is where the text of a finding begins.
const margin = 21

// wrap breaks a text into lines of at most columns letters, at spaces.
func wrap(text string, columns int) (lines []string) {
	for utf8.RuneCountInString(text) > columns {
		head := string([]rune(text)[:columns+1])
		at := strings.LastIndexByte(head, ' ')
		if at <= 0 {
			if at = strings.IndexByte(text, ' '); at < 0 {
				break
			}
		}
		lines, text = append(lines, text[:at]), text[at+1:]
	}
	return append(lines, text)
}

func (a *app) conclude(r *inspect.Report) error {
	if r.Err != nil && r.Err.Kind == inspect.Interrupted {
		return r.Err
	}
	if a.json() {
		for i := range r.Findings {
			f := &r.Findings[i]
			f.Text, f.Next = oneLine(f.Text), oneLine(f.Next)
		}
		path := ""
		if len(r.Paths) > 0 {
			path = r.Paths[0]
		}
		err := a.printJSON(map[string]any{"target": r.Target, "path": path, "paths": r.Paths, "ok": r.Err == nil, "checks": r.Findings})
		if err != nil {
			return err
		}
	}
	if r.Err != nil {
		return alreadyTold(asFailure(r.Err).exit)
	}
	return nil
}
