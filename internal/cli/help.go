package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

const exitCodesText = `The exit status of a command is:

    0  success
    1  an error of grpcpipe itself, of a file or of the system, or Ctrl-C
    2  wrong usage: the command line, or the data for a call
    3  the server could not be reached
    4  a condition of bench --fail-if holds, or replay found a difference
   64  plus the number of the gRPC status that a call ended with:
`

// statusCodes are the codes of gRPC's specification but OK.
func statusCodes() []codes.Code {
	var all []codes.Code
	for c := codes.Canceled; c <= codes.Unauthenticated; c++ {
		all = append(all, c)
	}
	return all
}

func (a *app) helpCommand() *cobra.Command {
	help := &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about any command, and about exit-codes",
		Args:  cobra.ArbitraryArgs,
		RunE: a.run(func(cmd *cobra.Command, names []string) error {
			found, rest, err := cmd.Root().Find(names)
			if err != nil || found == nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), names)
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		}),
	}
	help.AddCommand(&cobra.Command{
		Use:   "exit-codes",
		Short: "What the exit status of a command means",
		Args:  args(),
		RunE: a.run(func(*cobra.Command, []string) error {
			if a.json() {
				all := map[string]int{"ok": exitOK, "internal": exitInternal, "usage": exitUsage, "connect": exitConnect, "failed": exitFailed}
				for _, c := range statusCodes() {
					all[inspect.CodeName(c)] = exitStatus + int(c)
				}
				return a.printJSON(all)
			}
			fmt.Fprint(a.stdout, exitCodesText)
			for _, c := range statusCodes() {
				fmt.Fprintf(a.stdout, "   %d  %s\n", exitStatus+int(c), inspect.CodeName(c))
			}
			return nil
		}),
	})
	return help
}
