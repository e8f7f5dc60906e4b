package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// completionTimeout is what pressing Tab may take.
const completionTimeout = time.Second

// addCompletion adds cobra's command, which by itself answers an unknown shell with
// its help.
func (a *app) addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	cmd, _, err := root.Find([]string{"completion"})
	if err != nil {
		return
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = a.run(func(cmd *cobra.Command, shells []string) error {
		if len(shells) == 0 {
			return cmd.Help()
		}
		return usage("there is no completion for %q: write bash, zsh, fish or powershell", shells[0])
	})
}

// completeTarget completes a pipe's name, without opening any, and then, if
// symbols is set, a symbol, by asking the server.
func (a *app) completeTarget(conn *connFlags, from *schemaFlags, symbols bool) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		switch {
		case len(args) == 0:
			return pipeNames(cmd, begun)
		case len(args) == 1 && symbols:
			return a.symbolNames(cmd.Context(), conn, from, args[0]), cobra.ShellCompDirectiveNoFileComp
		}
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// completePipe completes a pipe's name.
func completePipe(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return pipeNames(cmd, begun)
}

func pipeNames(cmd *cobra.Command, begun string) ([]string, cobra.ShellCompDirective) {
	entries, err := follow.System.List(begun + "*")
	if err != nil {
		cobra.CompErrorln(err.Error())
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name)
	}
	slices.Sort(names)
	return names, cobra.ShellCompDirectiveNoFileComp
}

// symbolNames are the methods that a server names in a short time, if any.
func (a *app) symbolNames(ctx context.Context, conn *connFlags, from *schemaFlags, target string) []string {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	conn.connectTimeout = min(conn.connectTimeout, completionTimeout)
	var names []string
	err := a.withSchema(ctx, conn, from, target, func(s *inspect.Schema) error {
		services, err := s.Services()
		for _, service := range services {
			for _, m := range s.Methods(service) {
				names = append(names, string(service)+"/"+string(m.Name()))
			}
		}
		return err
	})
	if err != nil {
		cobra.CompErrorln(err.Error())
	}
	return names
}
