package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// schemaFlags say where the descriptions of messages and methods come from.
type schemaFlags struct {
	source inspect.Source
}

func (f *schemaFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.source.Protos, "proto", nil, ".proto file, or folder of them, to use in place of the server's reflection (repeatable)")
	flags.StringArrayVar(&f.source.Imports, "import-path", nil, "folder for the imports of --proto (repeatable)")
	flags.StringArrayVar(&f.source.Protosets, "protoset", nil, "file that protoc --descriptor_set_out or buf build has made, in place of reflection (repeatable)")
	flags.BoolVar(&f.source.Reflection, "reflection", false, "ask the server too, for what --proto and --protoset don't have")
	cmd.MarkFlagFilename("proto", "proto")
	cmd.MarkFlagDirname("import-path")
	cmd.MarkFlagFilename("protoset")
}

func (f *schemaFlags) check() error {
	if len(f.source.Imports) > 0 && len(f.source.Protos) == 0 {
		return usage("--import-path is for --proto: give --proto FILE too")
	}
	return nil
}

// fromFiles reports whether no server has to be asked.
func (f *schemaFlags) fromFiles() bool { return !f.source.Empty() && !f.source.Reflection }

// open returns the schema that the flags name. The caller closes it.
func (f *schemaFlags) open(ctx context.Context, s *inspect.Session) (*inspect.Schema, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	return s.Schema(ctx, f.source)
}

// withSchema connects if the server must be asked, and hands the schema to use.
func (a *app) withSchema(ctx context.Context, conn *connFlags, from *schemaFlags, to string, use func(*inspect.Schema) error) error {
	if err := from.check(); err != nil {
		return err
	}
	if from.fromFiles() {
		s, err := from.source.Load(ctx, flagWords)
		if err != nil {
			return err
		}
		return use(s)
	}
	if to == "-" {
		return usage("TARGET - is for --proto and --protoset, which need no server: give one of them, or a target")
	}
	session, err := conn.connect(ctx, to, false)
	if err != nil {
		return err
	}
	defer session.Close()
	s, err := from.open(ctx, session)
	if err != nil {
		return err
	}
	defer s.Close()
	return use(s)
}
