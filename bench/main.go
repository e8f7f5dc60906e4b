// Command bench measures grpcpipe against its alternatives. Each contender has its
// own server process and client process. On each line of the table the contenders
// take turns, round after round, and the result is the ratio to stock grpc-go in
// the same round. See docs/performance.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	only     string
	lines    string
	rounds   int
	time     time.Duration
	memory   bool
	wine     string
	json     string
	quick    bool
	baseline string
	report   string
	docs     string
	list     bool
	profile  string
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) > 0 && args[0] == childVerb {
		return runChild(args[1:])
	}
	var o options
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.only, "only", "", "measure these contenders only, separated by commas")
	fs.StringVar(&o.lines, "lines", "", "measure the lines that match this regular expression only")
	fs.IntVar(&o.rounds, "rounds", 11, "rounds of each line")
	fs.DurationVar(&o.time, "time", 150*time.Millisecond, "time of one measurement, after a warm-up of a quarter of it")
	fs.BoolVar(&o.memory, "memory", true, "also measure many connections")
	fs.StringVar(&o.wine, "wine", "../scripts/wine", "the script that runs Windows programs; empty to skip Windows")
	fs.StringVar(&o.json, "json", "", "write the results to this file")
	fs.BoolVar(&o.quick, "quick", false, "measure a few lines and compare them with the baseline")
	fs.StringVar(&o.baseline, "baseline", "results.json", "the results that -quick compares with")
	fs.StringVar(&o.report, "report", "", "don't measure; show the results in this file")
	fs.StringVar(&o.docs, "docs", "", "with -report: update performance.md, its results and its charts in this folder")
	fs.StringVar(&o.profile, "profile", "", "write profiles of each process to this folder, for go tool pprof")
	fs.BoolVar(&o.list, "list", false, "list contenders and lines")
	if err := fs.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q: choose contenders with -only", fs.Arg(0))
	}
	switch {
	case o.list:
		list()
		return nil
	case o.report != "":
		return report(o)
	case o.quick:
		return quick(o)
	}
	if o.rounds < 1 || o.time <= 0 {
		return errors.New("-rounds and -time must be greater than zero")
	}
	if o.profile != "" {
		if err := os.MkdirAll(o.profile, 0o755); err != nil {
			return err
		}
		if err := os.Setenv(profileVar, o.profile); err != nil {
			return err
		}
	}
	res, err := measure(o, allLines, "go run . "+strings.Join(args, " "))
	if err != nil {
		return err
	}
	return show(res, o)
}

// show prints the results, and saves them with -json.
func show(res *results, o options) error {
	res.markdown(os.Stdout, false)
	if o.json == "" {
		return nil
	}
	return res.save(o.json)
}

func list() {
	fmt.Println("contenders on this system:")
	for _, c := range contenders {
		fmt.Printf("  %-18s %s\n", c.name, c.about)
	}
	fmt.Println("lines:")
	for _, l := range allLines {
		fmt.Printf("  %-18s %s\n", l.Name, l.About)
	}
}

// chosen returns the lines that match the expression.
func chosen(lines []line, expr string) ([]line, error) {
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, fmt.Errorf("-lines: %w", err)
	}
	out := slices.DeleteFunc(slices.Clone(lines), func(l line) bool { return !re.MatchString(l.Name) })
	if len(out) == 0 {
		return nil, fmt.Errorf("-lines: %q matches no line; see -list", expr)
	}
	return out, nil
}
