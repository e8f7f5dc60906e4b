package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jhump/protoreflect/v2/protoprint"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// writeProtoset writes the files of descriptors, with all that they import, as
// --protoset reads them.
func (a *app) writeProtoset(path string, all []protoreflect.Descriptor) error {
	if err := namesFile("--protoset-out", path); err != nil {
		return err
	}
	set := a.filesOf(all, "so --protoset will refuse the set")
	b, err := set.Bytes()
	if err != nil {
		return internal(err)
	}
	if err := writeFile(path, b); err != nil {
		return usage("--protoset-out: %w", err)
	}
	return nil
}

// filesOf are the files of descriptors, with all that they import.
func (a *app) filesOf(all []protoreflect.Descriptor, without string) *inspect.FileSet {
	set := &inspect.FileSet{}
	for _, d := range all {
		set.Add(d.ParentFile())
	}
	if len(set.Missing) > 0 {
		fmt.Fprintf(a.stderr, "grpcpipe: the server doesn't have %s, which is imported, %s\n", strings.Join(set.Missing, ", "), without)
	}
	return set
}

// writeProtos writes the files of descriptors as .proto text. Nothing is written
// unless all can be printed.
func (a *app) writeProtos(dir string, all []protoreflect.Descriptor) error {
	a.filesOf(all, "so the files won't compile")
	texts := map[string]string{}
	var add func(fd protoreflect.FileDescriptor) error
	add = func(fd protoreflect.FileDescriptor) error {
		path := filepath.FromSlash(fd.Path())
		if _, done := texts[path]; done || fd.IsPlaceholder() || strings.HasPrefix(fd.Path(), "google/protobuf/") {
			return nil
		}
		if !filepath.IsLocal(path) || filepath.Ext(path) != ".proto" {
			return usage("--proto-out: the server has a file %q: its name is not a relative path that ends in .proto", fd.Path())
		}
		p := protoprint.Printer{}
		text, err := p.PrintProtoToString(fd)
		if err != nil {
			return internal(fmt.Errorf("%s can't be printed: %w", fd.Path(), err))
		}
		texts[path] = text
		for i := range fd.Imports().Len() {
			if err := add(fd.Imports().Get(i).FileDescriptor); err != nil {
				return err
			}
		}
		return nil
	}
	for _, d := range all {
		if err := add(d.ParentFile()); err != nil {
			return err
		}
	}
	for path, text := range texts {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil { // no secret: the umask decides
			return usage("--proto-out: %w", err)
		}
		if err := writeFile(path, []byte(text)); err != nil {
			return usage("--proto-out: %w", err)
		}
	}
	return nil
}
