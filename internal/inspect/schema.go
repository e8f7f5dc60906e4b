package inspect

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A Schema holds services and messages. Its methods are safe for concurrent
// use. Close it when its descriptors are no longer looked up.
type Schema struct {
	// FromServer reports that the schema comes from the server's reflection.
	FromServer bool

	list  func() ([]protoreflect.FullName, error)
	files protoresolve.Resolver
	types protoresolve.SerializationResolver
	close func()
	// failed explains an error of the server; it is nil for files.
	failed func(error) error
	words  *Words
}

// Schema returns the schema from the files that src names, or from the server's
// reflection if it names none. The schema can be used until ctx ends.
func (s *Session) Schema(ctx context.Context, src Source) (*Schema, error) {
	if src.Empty() {
		return s.reflected(ctx), nil
	}
	own, err := src.Load(ctx, s.cfg.Words)
	if err != nil || !src.Reflection {
		return own, err
	}
	theirs := s.reflected(ctx)
	both := &Schema{FromServer: true, words: &s.cfg.Words, close: theirs.Close, failed: theirs.failed, files: protoresolve.Combine(own.files, theirs.files)}
	both.types = both.files.AsTypeResolver()
	both.list = func() ([]protoreflect.FullName, error) {
		names, err := theirs.list()
		if err != nil {
			return nil, err
		}
		more, _ := own.list() // files always have an answer
		names = append(names, more...)
		slices.Sort(names)
		return slices.Compact(names), nil
	}
	return both, nil
}

// Close ends the reflection stream.
func (s *Schema) Close() {
	if s.close != nil {
		s.close()
	}
}

// Types resolves messages in google.protobuf.Any and extensions.
func (s *Schema) Types() protoresolve.SerializationResolver { return s.types }

// Services returns the names of the services, in order.
func (s *Schema) Services() ([]protoreflect.FullName, error) { return s.list() }

// newFileSchema returns a schema from files. flag says where they come from,
// for errors.
func newFileSchema(from string, set *descriptorpb.FileDescriptorSet, w *Words) (*Schema, error) {
	files, err := protodesc.NewFiles(set)
	if err != nil {
		return nil, &Error{Kind: Usage, Err: fmt.Errorf("%s: %w", from, err), Next: "include the imports: protoc --include_imports"}
	}
	var services []protoreflect.FullName
	for _, fd := range set.File {
		for _, sd := range fd.GetService() {
			services = append(services, protoreflect.FullName(strings.TrimPrefix(fd.GetPackage()+"."+sd.GetName(), ".")))
		}
	}
	slices.Sort(services)
	r := protoresolve.ResolverFromPool(files)
	return &Schema{
		list:  func() ([]protoreflect.FullName, error) { return services, nil },
		files: r, types: r.AsTypeResolver(), words: w,
	}, nil
}

// Find returns the descriptor of a symbol. The error for an unknown symbol
// names similar ones.
func (s *Schema) Find(symbol string) (protoreflect.Descriptor, error) {
	name := protoreflect.FullName(strings.ReplaceAll(strings.TrimLeft(symbol, "/."), "/", "."))
	if !name.IsValid() {
		return nil, usage("%q is not the name of a service, method, message or enum: write one such as greet.Greeter or greet.Greeter/SayHello", symbol)
	}
	d, err := s.files.FindDescriptorByName(name)
	if err == nil {
		return d, nil
	}
	if st, ok := status.FromError(err); ok && st.Code() != codes.NotFound && st.Code() != codes.Unimplemented && s.failed != nil {
		return nil, s.failed(err) // the server did not say that the symbol is unknown
	}
	services, lerr := s.list()
	if lerr != nil {
		return nil, lerr
	}
	return nil, s.unknown(string(name), services)
}

// unknown returns the error for an unknown symbol.
func (s *Schema) unknown(name string, services []protoreflect.FullName) error {
	slashed := map[string]string{} // by the dotted name
	var all []string
	wanted := name
	for _, service := range services {
		all = append(all, string(service))
		slashed[string(service)] = string(service)
		for _, m := range s.Methods(service) {
			all = append(all, string(m.FullName()))
			slashed[string(m.FullName())] = MethodPath(m)[1:]
		}
		if rest, ok := strings.CutPrefix(name, string(service)+"."); ok {
			wanted = string(service) + "/" + rest
		}
	}
	near := Nearest(name, all, 3)
	if len(near) == 0 {
		return &Error{Kind: Usage, Err: fmt.Errorf("there is no %q here", wanted), Next: s.words.Services}
	}
	for i, n := range near {
		near[i] = slashed[n]
	}
	return &Error{Kind: Usage, Err: fmt.Errorf("there is no %q here", wanted), Next: didYouMean(near)}
}

// didYouMean suggests names.
func didYouMean(near []string) string { return "did you mean " + strings.Join(near, " or ") + "?" }

// Methods returns the methods of a service; none if it can't be described.
func (s *Schema) Methods(service protoreflect.FullName) []protoreflect.MethodDescriptor {
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

// Method returns the method with the given name, such as a.B/C, /a.B/C or a.B.C.
func (s *Schema) Method(name string) (protoreflect.MethodDescriptor, error) {
	if !strings.ContainsAny(strings.TrimPrefix(name, "/"), "./") {
		return nil, s.withoutService(strings.TrimPrefix(name, "/"))
	}
	d, err := s.Find(name)
	if err != nil {
		return nil, err
	}
	switch d := d.(type) {
	case protoreflect.MethodDescriptor:
		return d, nil
	case protoreflect.ServiceDescriptor:
		var names []string
		for _, m := range s.Methods(d.FullName()) {
			names = append(names, string(m.Name()))
		}
		return nil, usage("%s is a service: write %s/METHOD with one of %s", d.FullName(), d.FullName(), strings.Join(names, ", "))
	}
	return nil, usage("%s is %s, not a method: write SERVICE/METHOD", d.FullName(), KindOf(d))
}

// withoutService is the error for a method's bare name.
func (s *Schema) withoutService(name string) error {
	services, err := s.list()
	if err != nil {
		return err
	}
	byName := map[string][]string{}
	var names []string
	for _, service := range services {
		for _, m := range s.Methods(service) {
			names = append(names, string(m.Name()))
			byName[string(m.Name())] = append(byName[string(m.Name())], MethodPath(m)[1:])
		}
	}
	near := []string{name}
	if byName[name] == nil {
		near = Nearest(name, names, 1)
	}
	if len(near) > 0 {
		return &Error{Kind: Usage, Err: fmt.Errorf("%q has no service before it", name), Next: didYouMean(byName[near[0]])}
	}
	return usage("%q is not a method: write SERVICE/METHOD, such as greet.Greeter/SayHello", name)
}

// MethodPath is a method's name on the wire, such as /a.B/C.
func MethodPath(m protoreflect.MethodDescriptor) string {
	return fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name())
}

// KindOf says what a descriptor describes, with its article.
func KindOf(d protoreflect.Descriptor) string {
	switch d.(type) {
	case protoreflect.ServiceDescriptor:
		return "a service"
	case protoreflect.MethodDescriptor:
		return "a method"
	case protoreflect.MessageDescriptor:
		return "a message"
	case protoreflect.EnumDescriptor:
		return "an enum"
	case protoreflect.EnumValueDescriptor:
		return "an enum value"
	case protoreflect.FieldDescriptor:
		return "a field"
	case protoreflect.OneofDescriptor:
		return "a oneof"
	}
	return "part of a file"
}

// Comment returns the comment on a descriptor in its .proto file, or "": some
// servers' reflection leaves comments out.
func Comment(d protoreflect.Descriptor) string {
	loc := d.ParentFile().SourceLocations().ByDescriptor(d)
	return strings.TrimSpace(strings.TrimSpace(loc.LeadingComments) + "\n" + strings.TrimSpace(loc.TrailingComments))
}
