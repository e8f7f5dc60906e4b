// Package cli is the grpcpipe command.
package cli

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit statuses of the command.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Main runs the command and returns its exit status.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "grpcpipe",
		Short:         "gRPC between processes on one machine, over named pipes",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(demoCommands()...)
	if err := root.Execute(); err != nil {
		fmt.Fprintln(stderr, "grpcpipe:", err)
		if errors.As(err, new(failure)) {
			return exitError
		}
		return exitUsage
	}
	return exitOK
}
