package cli

import (
	"fmt"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// serviceJSON is a service in the output of `services -o json`.
type serviceJSON struct {
	Name    string       `json:"name"`
	Methods []methodJSON `json:"methods"`
}

type methodJSON struct {
	Name            string `json:"name"`
	Input           string `json:"input"`
	Output          string `json:"output"`
	ClientStreaming bool   `json:"client_streaming"`
	ServerStreaming bool   `json:"server_streaming"`
}

func (a *app) servicesCommand() *cobra.Command {
	var conn connFlags
	var from schemaFlags
	var methods bool
	cmd := &cobra.Command{
		Use:     "services TARGET",
		Aliases: []string{"list"}, // grpcurl's
		Short:   "List the services of a server",
		Long: `List the services of a server, and with --methods their methods.

Reflection, version v1 or else v1alpha, is asked. With --proto or --protoset no
server is asked, and TARGET may be -.`,
		Example: `  grpcpipe services MyPipe
  grpcpipe services MyPipe --methods
  grpcpipe services - --proto greet.proto`,
		Args:              args("TARGET"),
		ValidArgsFunction: a.completeTarget(&conn, &from, false),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.withSchema(cmd.Context(), &conn, &from, args[0], func(s *inspect.Schema) error { return a.listServices(s, methods) })
		}),
	}
	cmd.Flags().BoolVarP(&methods, "methods", "m", false, "list the methods too")
	conn.add(cmd)
	from.add(cmd)
	return cmd
}

func (a *app) listServices(s *inspect.Schema, methods bool) error {
	names, err := s.Services()
	if err != nil {
		return err
	}
	all := []serviceJSON{}
	for _, name := range names {
		if !a.json() {
			fmt.Fprintln(a.stdout, name)
		}
		if !a.json() && !methods {
			continue
		}
		one := serviceJSON{Name: string(name), Methods: []methodJSON{}}
		for _, m := range s.Methods(name) {
			one.Methods = append(one.Methods, methodJSON{
				string(m.Name()), string(m.Input().FullName()), string(m.Output().FullName()), m.IsStreamingClient(), m.IsStreamingServer(),
			})
			if !a.json() {
				fmt.Fprintf(a.stdout, "  %s\n", signature(m))
			}
		}
		all = append(all, one)
	}
	if a.json() {
		return a.printJSON(all)
	}
	return nil
}

// signature is a method on one line.
func signature(m protoreflect.MethodDescriptor) string {
	in, out := string(m.Input().FullName()), string(m.Output().FullName())
	if m.IsStreamingClient() {
		in = "stream " + in
	}
	if m.IsStreamingServer() {
		out = "stream " + out
	}
	return fmt.Sprintf("%s/%s (%s) returns (%s)", m.Parent().FullName(), m.Name(), in, out)
}
