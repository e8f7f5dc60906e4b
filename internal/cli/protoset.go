package cli

import (
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A fileSet is a descriptor set that grows by whole files, each after those that
// it imports.
type fileSet struct {
	descriptorpb.FileDescriptorSet
	seen    map[string]bool
	missing []string // the imports that nobody could tell
}

func (s *fileSet) add(fd protoreflect.FileDescriptor) {
	if s.seen == nil {
		s.seen = map[string]bool{}
	}
	if s.seen[fd.Path()] {
		return
	}
	s.seen[fd.Path()] = true
	if fd.IsPlaceholder() {
		s.missing = append(s.missing, fd.Path())
		return
	}
	for i := range fd.Imports().Len() {
		s.add(fd.Imports().Get(i).FileDescriptor)
	}
	s.File = append(s.File, protodesc.ToFileDescriptorProto(fd))
}

// writeProtoset writes the files of descriptors, with all that they import, as
// --protoset reads them.
func (a *app) writeProtoset(path string, all []protoreflect.Descriptor) error {
	if err := namesFile("--protoset-out", path); err != nil {
		return err
	}
	var set fileSet
	for _, d := range all {
		set.add(d.ParentFile())
	}
	if len(set.missing) > 0 {
		fmt.Fprintf(a.stderr, "grpcpipe: the server doesn't tell %s, which is imported, so --protoset will refuse the set\n", strings.Join(set.missing, ", "))
	}
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(&set.FileDescriptorSet)
	if err != nil {
		return internal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil { // no secret: the umask decides
		return usage("--protoset-out: %w", err)
	}
	return nil
}

// readProtosets reads serialised FileDescriptorSets.
func readProtosets(paths []string) (*schema, error) {
	set, seen := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, usage("--protoset: %w", err)
		}
		one := &descriptorpb.FileDescriptorSet{}
		if err := proto.Unmarshal(b, one); err != nil || len(one.File) == 0 {
			return nil, usage("--protoset %s: it is no descriptor set: make one with `protoc --include_imports --descriptor_set_out=%s FILE.proto`", path, path)
		}
		for _, fd := range one.File {
			if !seen[fd.GetName()] {
				seen[fd.GetName()] = true
				set.File = append(set.File, fd)
			}
		}
	}
	var wanted []protoreflect.FullName
	for _, fd := range set.File {
		for _, sd := range fd.GetService() {
			wanted = append(wanted, protoreflect.FullName(strings.TrimPrefix(fd.GetPackage()+"."+sd.GetName(), ".")))
		}
	}
	return newFileSchema("--protoset", set, wanted)
}
