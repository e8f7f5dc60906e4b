package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

func (a *app) describeCommand() *cobra.Command {
	var conn connFlags
	var from schemaFlags
	var template bool
	var out, protoOut string
	cmd := &cobra.Command{
		Use:   "describe TARGET [SYMBOL]",
		Short: "Show services, methods and messages as .proto text, and requests to fill in",
		Long: `Show a service, method, message or enum as .proto text; without SYMBOL, all
services. A method comes with its messages and with a request to fill in. With
--template only the request is shown, ready for ` + "`call -d`" + `.

Reflection, version v1 or else v1alpha, is asked. With --proto or --protoset no
server is asked, and TARGET may be -. --protoset-out keeps
the answer in a file, for servers without reflection and for other programs, and
--proto-out as .proto files.`,
		Example: `  grpcpipe describe MyPipe
  grpcpipe describe MyPipe greet.Greeter/SayHello
  grpcpipe describe MyPipe greet.Greeter/SayHello --template > request.json
  grpcpipe describe - greet.Greeter --proto greet.proto -o json
  grpcpipe describe MyPipe --protoset-out all.protoset`,
		Args:              args("TARGET", "[SYMBOL]"),
		ValidArgsFunction: a.completeTarget(&conn, &from, true),
		RunE: a.run(func(cmd *cobra.Command, args []string) error {
			return a.withSchema(cmd.Context(), &conn, &from, args[0], func(s *inspect.Schema) error {
				return a.describe(s, args[1:], describeFlags{template, out, protoOut})
			})
		}),
	}
	cmd.Flags().BoolVar(&template, "template", false, "show only a request to fill in")
	cmd.Flags().StringVar(&out, "protoset-out", "", "write the files of what is described, with their imports, to this file for --protoset, and show nothing")
	cmd.Flags().StringVar(&protoOut, "proto-out", "", "write the files of what is described, with their imports, as .proto files into this folder, and show nothing")
	cmd.MarkFlagFilename("protoset-out")
	cmd.MarkFlagDirname("proto-out")
	conn.add(cmd)
	from.add(cmd)
	return cmd
}

// describeFlags say what becomes of a description.
type describeFlags struct {
	template         bool
	protoset, protos string // where to write files
}

func (a *app) describe(s *inspect.Schema, symbols []string, flags describeFlags) error {
	if flags.template && flags.protoset != "" || flags.template && flags.protos != "" || flags.protoset != "" && flags.protos != "" {
		return usage("--template, --protoset-out and --proto-out exclude each other: give one of them")
	}
	if flags.template && len(symbols) == 0 {
		return usage("describe --template needs a method or message: write describe TARGET SERVICE/METHOD --template")
	}
	all, err := described(s, symbols)
	if err != nil {
		return err
	}
	if flags.protoset != "" {
		return a.writeProtoset(flags.protoset, all)
	}
	if flags.protos != "" {
		return a.writeProtos(flags.protos, all)
	}
	for i, d := range all {
		if flags.template {
			return a.printTemplate(d)
		}
		if err := a.describeOne(d, i); err != nil {
			return err
		}
	}
	return nil
}

// described are the descriptors of the symbols, of all services without any.
func described(s *inspect.Schema, symbols []string) ([]protoreflect.Descriptor, error) {
	if len(symbols) > 0 {
		d, err := s.Find(symbols[0])
		return []protoreflect.Descriptor{d}, err
	}
	names, err := s.Services()
	if err != nil {
		return nil, err
	}
	var all []protoreflect.Descriptor
	for _, name := range names {
		// A server may list a service that it can't describe.
		if d, err := s.Find(string(name)); err == nil {
			all = append(all, d)
		}
	}
	return all, nil
}

func (a *app) printTemplate(d protoreflect.Descriptor) error {
	var md protoreflect.MessageDescriptor
	switch d := d.(type) {
	case protoreflect.MethodDescriptor:
		md = d.Input()
	case protoreflect.MessageDescriptor:
		md = d
	default:
		return usage("%s is %s: a template is made for a method or a message", d.FullName(), inspect.KindOf(d))
	}
	_, err := fmt.Fprintf(a.stdout, "%s\n", indented(inspect.Template(md)))
	return err
}

// describeOne shows the i-th descriptor.
func (a *app) describeOne(d protoreflect.Descriptor, i int) error {
	if a.json() {
		return a.describeJSON(d)
	}
	if i > 0 {
		fmt.Fprintln(a.stdout)
	}
	text, err := protoText(d)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "// %s is %s of %s.\n%s\n", d.FullName(), inspect.KindOf(d), d.ParentFile().Path(), text)
	m, ok := d.(protoreflect.MethodDescriptor)
	if !ok {
		return nil
	}
	for i, md := range []protoreflect.MessageDescriptor{m.Input(), m.Output()} {
		if i == 1 && md.FullName() == m.Input().FullName() {
			continue
		}
		text, err := protoText(md)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "\n// %s\n%s\n", md.FullName(), text)
	}
	_, err = fmt.Fprintf(a.stdout, "\n// A request to fill in:\n%s\n", indented(inspect.Template(m.Input())))
	return err
}

func protoText(d protoreflect.Descriptor) (string, error) {
	p := protoprint.Printer{}
	text, err := p.PrintProtoToString(d)
	return strings.TrimSpace(text), err
}

func (a *app) describeJSON(d protoreflect.Descriptor) error {
	var m proto.Message
	switch d := d.(type) {
	case protoreflect.ServiceDescriptor:
		m = protodesc.ToServiceDescriptorProto(d)
	case protoreflect.MethodDescriptor:
		m = protodesc.ToMethodDescriptorProto(d)
	case protoreflect.MessageDescriptor:
		m = protodesc.ToDescriptorProto(d)
	case protoreflect.EnumDescriptor:
		m = protodesc.ToEnumDescriptorProto(d)
	case protoreflect.FieldDescriptor:
		m = protodesc.ToFieldDescriptorProto(d)
	default:
		return usage("%s is %s, which has no JSON form: describe the message or enum it is in", d.FullName(), inspect.KindOf(d))
	}
	b, err := protojson.Marshal(m)
	if err != nil {
		return err
	}
	out := map[string]any{"name": d.FullName(), "kind": kindWord(d), "file": d.ParentFile().Path(), "descriptor": json.RawMessage(compact(b))}
	if m, ok := d.(protoreflect.MethodDescriptor); ok {
		out["template"] = json.RawMessage(inspect.Template(m.Input()))
	}
	return a.printJSON(out)
}

// kindWord is inspect.KindOf without the article.
func kindWord(d protoreflect.Descriptor) string {
	_, word, _ := strings.Cut(inspect.KindOf(d), " ")
	return word
}
