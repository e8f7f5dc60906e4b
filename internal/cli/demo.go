package cli

import (
	"context"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/demo"
)

// demoServer is the hidden command that is the demo's other process.
const demoServer = "demo-server"

// demoCommands returns the demo and the server process behind it.
func demoCommands() []*cobra.Command {
	run := &cobra.Command{
		Use:   "demo",
		Short: "Show every kind of call between two processes over one pipe",
		Long: `Show every kind of call between two processes over one pipe.

It starts a server in a process of its own and calls it: a greeting, streams
in each direction and in both at once, a deadline, a cancellation, an error
with details. It compares the time of a call with TCP loopback, kills the
server in mid-call and starts it again. All of it is checked: the exit status
is 1, and the reason is printed, if anything differs from what it should be.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			err := demo.Run(ctx, demo.Config{Command: demoServerCommand, Out: cmd.OutOrStdout(), Colour: wantsColour(cmd.OutOrStdout())})
			if err != nil {
				return failure{err}
			}
			return nil
		},
	}
	serve := &cobra.Command{
		Use:    demoServer + " PIPE",
		Short:  "Serve the demo on a pipe until standard input ends",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			// Ctrl-C reaches both processes. The demo ends this one, so that it
			// never looks as if the server had failed.
			signal.Ignore(os.Interrupt)
			if err := demo.Serve(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout()); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	return []*cobra.Command{run, serve}
}

// failure is an error of a command that was used rightly: exit status 1.
type failure struct{ error }

// Unwrap gives errors.Is and errors.As what the failure is made of.
func (f failure) Unwrap() error { return f.error }

// demoServerCommand makes the command that runs this program as the server.
func demoServerCommand(ctx context.Context, pipe string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, exe, demoServer, pipe), nil
}

// wantsColour tells whether out is a terminal that shows colours and the user
// hasn't refused them (https://no-color.org).
func wantsColour(out io.Writer) bool {
	file, ok := out.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	// Older Windows consoles print escape sequences as they are; Windows
	// Terminal and the shells that come with a TERM don't.
	if runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == "" && os.Getenv("TERM") == "" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
