package cli

import (
	"context"
	"os"
	"os/exec"
	"os/signal"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/demo"
)

// demoServer is the hidden command that is the demo's other process.
const demoServer = "demo-server"

// demoCommands returns the demo and the server process behind it.
func (a *app) demoCommands() []*cobra.Command {
	run := &cobra.Command{
		Use:   "demo",
		Short: "Show every kind of call between two processes over one pipe",
		Long: `Show every kind of call between two processes over one pipe.

It starts a server in a process of its own and calls it: a greeting, streams
in each direction and in both at once, a deadline, a cancellation, an error
with details. It compares the time of a call with TCP loopback, kills the
server during a call and restarts it. Everything is checked: the exit
status is 1, and the reason is printed, if anything is not as expected.`,
		Args: args(),
		RunE: a.run(func(cmd *cobra.Command, _ []string) error {
			return demo.Run(cmd.Context(), demo.Config{Command: demoServerCommand, Out: a.stdout, Color: a.wantsColor(a.stdout), JSON: a.json()})
		}),
	}
	serve := &cobra.Command{
		Use:    demoServer + " PIPE",
		Short:  "Serve the demo on a pipe until standard input ends",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			// Ctrl-C reaches both processes. The demo ends this one, so that it
			// never looks as if the server had failed.
			signal.Ignore(os.Interrupt)
			return demo.Serve(context.WithoutCancel(cmd.Context()), args[0], a.stdin, a.stdout)
		}),
	}
	return []*cobra.Command{run, serve}
}

// demoServerCommand makes the command that runs this program as the server.
func demoServerCommand(ctx context.Context, pipe string) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, exe, demoServer, pipe), nil
}
