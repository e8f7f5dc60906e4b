// Package cli is the grpcpipe command.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// app is one run of the command.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	output string // text or json
	color  string // auto, always or never
}

// Main runs the command and returns its exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first Ctrl-C asks, the second one ends the program at once.
	context.AfterFunc(ctx, stop)
	return execute(ctx, args, stdin, stdout, stderr)
}

// execute is Main with a context in place of Ctrl-C.
func execute(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (exit int) {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	asJSON := wantsJSON(args) // the flags may be what is wrong
	defer func() {
		if p := recover(); p != nil {
			err := fmt.Errorf("%v: this is a bug of grpcpipe, please report it with the command line", p)
			exit = report(stderr, asJSON, internal(err))
		}
	}()
	root := a.root()
	root.SetArgs(doubleDashes(root, args))
	if err := root.ExecuteContext(ctx); err != nil {
		return report(stderr, asJSON, err)
	}
	return exitOK
}

// Root returns the command tree, for the generators of its documentation.
func Root() *cobra.Command {
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	return a.root()
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "grpcpipe",
		Short: "List, call, diagnose, relay, record and load gRPC servers behind named pipes",
		Long: `List, call, diagnose, relay, record and load gRPC servers behind named pipes.

TARGET is a pipe's bare name, such as MyPipe, or anything else that
grpcpipe.NewClient takes: npipe:MyPipe, \\.\pipe\MyPipe, //./pipe/MyPipe,
http://pipe:/MyPipe, npipe:a,b, npipe:worker-*, /run/me/my.sock,
unix:///run/me/my.sock, 127.0.0.1:5000, dns:///example.com:443. A bare name
needs no quotes in any shell. Off Windows a pipe is the Unix socket that .NET
maps its name to.

Results go to standard output, everything else to standard error. Only
the command line, a file that --profile names, NO_COLOR and, off Windows, TMPDIR
configure it.`,
		Example: `  grpcpipe ls
  grpcpipe ping MyPipe
  grpcpipe call MyPipe greet.Greeter/SayHello -d '{"name":"World"}'`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, args)
		},
		PersistentPreRunE: func(*cobra.Command, []string) error { return a.checkFlags() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(flagError)
	root.SetGlobalNormalizationFunc(ourName)
	root.Version = buildInfo().String()
	root.SetVersionTemplate("{{.Version}}\n")
	root.Flags().BoolP("version", "v", false, "print the version")
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "text", "format of results and errors: text or json")
	flags.StringVar(&a.color, "color", "auto", "use of colors: auto, always or never")
	root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	root.RegisterFlagCompletionFunc("color", cobra.FixedCompletions([]string{"auto", "always", "never"}, cobra.ShellCompDirectiveNoFileComp))
	for _, commands := range [][]*cobra.Command{a.commands(), a.demoCommands()} {
		root.AddCommand(commands...)
	}
	root.SetHelpCommand(a.helpCommand())
	a.addCompletion(root)
	return root
}

// commands are the commands in the order of the help.
func (a *app) commands() []*cobra.Command {
	return []*cobra.Command{a.lsCommand(), a.pingCommand(), a.doctorCommand(), a.servicesCommand(), a.describeCommand(), a.callCommand(), a.benchCommand(), a.proxyCommand(), a.showCommand(), a.replayCommand(), a.serveDemoCommand(), a.uiCommand(), a.versionCommand()}
}

// checkFlags holds the flags of all commands against what they may be.
func (a *app) checkFlags() error {
	if !slices.Contains([]string{"text", "json"}, a.output) {
		return usage("-o %q: write -o text or -o json", a.output)
	}
	if !slices.Contains([]string{"auto", "always", "never"}, a.color) {
		return usage("--color %q: write auto, always or never", a.color)
	}
	return nil
}

// run makes the function of a command. Errors that say nothing about the exit
// status are faults inside; those from before it runs are the user's.
func (a *app) run(f func(cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		args, err := profiled(cmd, args)
		if err != nil {
			return err
		}
		if err = f(cmd, args); err == nil {
			return nil
		}
		if f := asFailure(err); f != nil {
			return f
		}
		if cmd.Context().Err() != nil {
			return internal(errors.New("interrupted"))
		}
		return internal(err)
	}
}

// args checks the number of arguments and names the one that is missing.
func args(names ...string) cobra.PositionalArgs {
	least := 0
	for _, name := range names {
		if !strings.HasPrefix(name, "[") {
			least++
		}
	}
	return func(cmd *cobra.Command, args []string) error {
		write := "write " + cmd.UseLine()
		if flag := cmd.Flags().Lookup(profileFlag); flag != nil && flag.Changed && cmd.Annotations[profileFlag] == "" {
			return nil // the profile may have the arguments: they are checked with it
		}
		switch {
		case len(args) < least:
			return usageThen(write, "%s is missing", names[len(args)])
		case len(args) > len(names):
			return usageThen(write, "%q is one argument too many", args[len(names)])
		}
		for i, arg := range args {
			if arg == "" {
				return usageThen(write, "%s is empty", strings.Trim(names[i], "[]"))
			}
		}
		return nil
	}
}

// unknownCommand is the error for what is no command. Words in grpcurl's order are
// put right.
func unknownCommand(root *cobra.Command, words []string) error {
	if len(words) > 1 {
		switch verb := words[1]; {
		case verb == "list" || verb == "describe":
			name := map[string]string{"list": "services", "describe": "describe"}[verb]
			return usageThen(fmt.Sprintf("write `grpcpipe %s %s`", name, strings.Join(append([]string{words[0]}, words[2:]...), " ")), "the command comes before the target")
		case strings.Contains(verb, "/"):
			return usageThen(fmt.Sprintf("write `grpcpipe call %s %s`", words[0], verb), "the command comes before the target")
		}
	}
	var names []string
	for _, c := range root.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	if near := inspect.Nearest(words[0], names, 1); len(near) > 0 {
		return usageThen(fmt.Sprintf("did you mean `grpcpipe %s`?", near[0]), "there is no command %q", words[0])
	}
	return usageThen("see `grpcpipe --help`", "there is no command %q", words[0])
}

// wantsJSON looks for -o json in a command line that may be unfit to be parsed.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		switch arg {
		case "--":
			return false
		case "-ojson", "-o=json", "--output=json":
			return true
		case "-o", "--output":
			return i+1 < len(args) && args[i+1] == "json"
		}
	}
	return false
}
