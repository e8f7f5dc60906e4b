package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bufbuild/protocompile"
	"github.com/jhump/protoreflect/v2/grpcreflect"
	"github.com/jhump/protoreflect/v2/protoresolve"
	"github.com/spf13/cobra"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// reflectionTimeout bounds the questions put to a server about its methods.
const reflectionTimeout = 10 * time.Second

// reflectionHint is for servers that don't tell their methods.
const reflectionHint = "give --proto FILE or --protoset FILE; in .NET write builder.Services.AddGrpcReflection() and app.MapGrpcReflectionService(), in Go reflection.Register(server)"

// schemaFlags say where the descriptions of messages and methods come from.
type schemaFlags struct {
	protos   []string
	imports  []string
	protoset []string
}

func (f *schemaFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVar(&f.protos, "proto", nil, "a .proto file to use in place of the server's reflection (repeatable)")
	flags.StringArrayVar(&f.imports, "import-path", nil, "a folder for the imports of --proto (repeatable)")
	flags.StringArrayVar(&f.protoset, "protoset", nil, "a file that protoc --descriptor_set_out or buf build has made, in place of reflection (repeatable)")
	cmd.MarkFlagFilename("proto", "proto")
	cmd.MarkFlagDirname("import-path")
	cmd.MarkFlagFilename("protoset")
}

// fromFiles tells that no server has to be asked.
func (f *schemaFlags) fromFiles() bool { return len(f.protos)+len(f.protoset) > 0 }

// A schema knows services and messages.
type schema struct {
	list  func() ([]protoreflect.FullName, error)
	files protoresolve.DescriptorResolver
	types protoresolve.SerializationResolver
}

// open returns the schema that the flags ask for; cc may be nil if it is from
// files. The caller calls done when it asks no more.
func (f *schemaFlags) open(ctx context.Context, cc grpc.ClientConnInterface) (s *schema, done func(), err error) {
	switch {
	case len(f.protos) > 0 && len(f.protoset) > 0:
		return nil, nil, usage("--proto and --protoset exclude each other: give one of them")
	case len(f.imports) > 0 && len(f.protos) == 0:
		return nil, nil, usage("--import-path is for --proto: give --proto FILE too")
	case len(f.protos) > 0:
		s, err = f.compile(ctx)
	case len(f.protoset) > 0:
		s, err = readProtosets(f.protoset)
	default:
		s, done = reflected(ctx, cc)
		return s, done, nil
	}
	return s, func() {}, err
}

// reflected is the schema that a server tells.
func reflected(ctx context.Context, cc grpc.ClientConnInterface) (*schema, func()) {
	ctx, cancel := context.WithTimeout(ctx, reflectionTimeout)
	client := grpcreflect.NewClientAuto(ctx, cc, grpcreflect.WithAllowMissingFileDescriptors(),
		grpcreflect.WithFallbackResolvers(protoregistry.GlobalFiles, protoregistry.GlobalTypes))
	r := client.AsResolver()
	s := &schema{files: r, types: r.AsTypeResolver()}
	s.list = func() ([]protoreflect.FullName, error) {
		names, err := client.ListServices()
		if err != nil {
			return nil, reflectionFailed(err)
		}
		slices.Sort(names)
		return names, nil
	}
	return s, func() { client.Reset(); cancel() }
}

func reflectionFailed(err error) error {
	if status.Code(err) == codes.Unimplemented {
		return &failure{
			exit: exitStatus + int(codes.Unimplemented), rpc: status.Convert(err),
			err: errors.New("the server has no reflection service, so it can't be asked for its methods"), hint: reflectionHint,
		}
	}
	return rpcFailed("reflection", err)
}

// compile reads .proto files.
func (f *schemaFlags) compile(ctx context.Context) (*schema, error) {
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: f.imports}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := c.Compile(ctx, f.protos...)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) || strings.Contains(err.Error(), "could not resolve path") {
			return nil, usage("--proto: %w: check the path, which with --import-path is relative to that", err)
		}
		return nil, usage("--proto: %w: mend the file, or use --protoset FILE", err)
	}
	var set fileSet
	var wanted []protoreflect.FullName
	for _, fd := range files {
		set.add(fd)
		for i := range fd.Services().Len() {
			wanted = append(wanted, fd.Services().Get(i).FullName())
		}
	}
	return newFileSchema("--proto", &set.FileDescriptorSet, wanted)
}

func newFileSchema(flag string, set *descriptorpb.FileDescriptorSet, services []protoreflect.FullName) (*schema, error) {
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, usage("%s: %w: make the set with --include_imports", flag, err)
	}
	r := protoresolve.ResolverFromPool(files)
	slices.Sort(services)
	return &schema{
		list:  func() ([]protoreflect.FullName, error) { return services, nil },
		files: r, types: r.AsTypeResolver(),
	}, nil
}

// find returns the descriptor of a symbol. What isn't there is an error that
// names what looks like it.
func (s *schema) find(symbol string) (protoreflect.Descriptor, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimPrefix(strings.TrimPrefix(symbol, "/"), "."), "/", "."))
	if !name.IsValid() {
		return nil, usage("%q is no name of a service, method, message or enum: write one such as greet.Greeter or greet.Greeter/SayHello", symbol)
	}
	d, err := s.files.FindDescriptorByName(name)
	if err == nil {
		return d, nil
	}
	services, lerr := s.list()
	if lerr != nil {
		return nil, lerr
	}
	return nil, s.unknown(string(name), services)
}

// unknown is the error for a symbol that isn't there.
func (s *schema) unknown(name string, services []protoreflect.FullName) error {
	var all []string
	for _, service := range services {
		all = append(all, string(service))
		for _, m := range s.methods(service) {
			all = append(all, string(service)+"/"+string(m.Name()))
		}
	}
	wanted := name
	for _, service := range services {
		if rest, ok := strings.CutPrefix(name, string(service)+"."); ok {
			wanted = string(service) + "/" + rest
		}
	}
	near := nearest(strings.ReplaceAll(wanted, "/", "."), dotted(all), 3)
	if len(near) == 0 {
		return usage("there is no %q here: `grpcpipe services TARGET` lists what there is", wanted)
	}
	for i, n := range near {
		for _, a := range all {
			if strings.ReplaceAll(a, "/", ".") == n {
				near[i] = a
			}
		}
	}
	return usage("there is no %q here: did you mean %s?", wanted, strings.Join(near, " or "))
}

func dotted(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strings.ReplaceAll(n, "/", ".")
	}
	return out
}

// methods are the methods of a service; none if it can't be described.
func (s *schema) methods(service protoreflect.FullName) []protoreflect.MethodDescriptor {
	d, err := s.files.FindDescriptorByName(service)
	sd, ok := d.(protoreflect.ServiceDescriptor)
	if err != nil || !ok {
		return nil
	}
	var all []protoreflect.MethodDescriptor
	for i := range sd.Methods().Len() {
		all = append(all, sd.Methods().Get(i))
	}
	return all
}

// method returns the method with the given name.
func (s *schema) method(name string) (protoreflect.MethodDescriptor, error) {
	if !strings.ContainsAny(strings.TrimPrefix(name, "/"), "./") {
		return nil, usage("%q is no method: write SERVICE/METHOD, such as greet.Greeter/SayHello", name)
	}
	d, err := s.find(name)
	if err != nil {
		return nil, err
	}
	switch d := d.(type) {
	case protoreflect.MethodDescriptor:
		return d, nil
	case protoreflect.ServiceDescriptor:
		var names []string
		for _, m := range s.methods(d.FullName()) {
			names = append(names, string(m.Name()))
		}
		return nil, usage("%s is a service: write %s/METHOD with one of %s", d.FullName(), d.FullName(), strings.Join(names, ", "))
	}
	return nil, usage("%s is a %s, not a method: write SERVICE/METHOD", d.FullName(), kindOf(d))
}

// path is a method's name on the wire.
func path(m protoreflect.MethodDescriptor) string {
	return fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
}

// kindOf is the word for what a descriptor describes.
func kindOf(d protoreflect.Descriptor) string {
	switch d.(type) {
	case protoreflect.ServiceDescriptor:
		return "service"
	case protoreflect.MethodDescriptor:
		return "method"
	case protoreflect.MessageDescriptor:
		return "message"
	case protoreflect.EnumDescriptor:
		return "enum"
	case protoreflect.EnumValueDescriptor:
		return "enum value"
	case protoreflect.FieldDescriptor:
		return "field"
	}
	return "part of a file"
}
