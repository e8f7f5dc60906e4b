package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bufbuild/protocompile"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
)

// A Source says which files describe messages and methods. The zero value means
// the server's reflection.
type Source struct {
	Protos     []string // .proto files, and folders of them
	Imports    []string // folders for the imports of Protos
	Protosets  []string // files that protoc --descriptor_set_out or buf build has made
	Reflection bool     // also use the server's reflection, for what the files don't have
}

// Empty reports whether no files are named.
func (s Source) Empty() bool { return len(s.Protos)+len(s.Protosets) == 0 }

// Load reads the files. At least one must be named.
func (s Source) Load(ctx context.Context, w Words) (*Schema, error) {
	var set FileSet
	if len(s.Protosets) > 0 {
		if err := set.read(s.Protosets); err != nil {
			return nil, err
		}
	}
	if len(s.Protos) > 0 {
		if err := s.compile(ctx, &set); err != nil {
			return nil, err
		}
	}
	if set.differ != "" {
		return nil, usage("%s is in two of the sources and is not the same in both: leave one out", set.differ)
	}
	from := "the descriptor set"
	if len(s.Protos) > 0 {
		from = "the .proto files"
	}
	return newFileSchema(from, &set.FileDescriptorSet, &w)
}

// compile reads .proto files into the set.
func (s Source) compile(ctx context.Context, set *FileSet) error {
	imports := s.Imports
	var names []string
	for _, p := range s.Protos {
		info, err := os.Stat(p)
		if err != nil || !info.IsDir() {
			names = append(names, s.importName(p))
			continue
		}
		found, err := protosIn(p)
		if err != nil {
			return usage("%s: %w", p, err)
		}
		if len(found) == 0 {
			return usage("%s: there is no .proto file in this folder: name one that has some", p)
		}
		names, imports = append(names, found...), append(imports, p)
	}
	c := protocompile.Compiler{
		Resolver:       protocompile.WithStandardImports(&protocompile.SourceResolver{ImportPaths: imports, Accessor: openText}),
		SourceInfoMode: protocompile.SourceInfoStandard,
	}
	files, err := c.Compile(ctx, names...)
	if err != nil {
		next := "fix the file, or use a descriptor set"
		if errors.Is(err, fs.ErrNotExist) || strings.Contains(err.Error(), "could not resolve path") {
			next = "check the path, and the folders for imports"
		}
		return &Error{Kind: Usage, Err: err, Next: next}
	}
	for _, fd := range files {
		set.Add(fd)
	}
	return nil
}

// importName returns the name under which other files import a file. A path
// inside an import folder is relative to that folder.
func (s Source) importName(path string) string {
	if len(s.Imports) == 0 {
		return path
	}
	for _, dir := range s.Imports {
		if _, err := os.Stat(filepath.Join(dir, path)); err == nil && !filepath.IsAbs(path) {
			return path
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	for _, dir := range s.Imports {
		dir, err := filepath.Abs(dir)
		if err != nil {
			continue
		}
		if rel, err := filepath.Rel(dir, abs); err == nil && filepath.IsLocal(rel) {
			return filepath.ToSlash(rel)
		}
	}
	return path
}

// protosIn returns the .proto files in a folder and its subfolders, by their
// names relative to it.
func protosIn(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".proto" {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		names = append(names, filepath.ToSlash(rel))
		return err
	})
	return names, err
}

// openText opens a text file in UTF-8, or in UTF-16 with a byte order mark,
// which PowerShell 5.1 writes with >.
func openText(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return struct {
		io.Reader
		io.Closer
	}{Text(f), f}, nil
}

// Text decodes UTF-16 that begins with a byte order mark, and removes the mark
// from UTF-8. Text without a mark is passed on as is.
func Text(r io.Reader) io.Reader {
	return transform.NewReader(r, unicode.BOMOverride(transform.Nop))
}

// A FileSet is a descriptor set to which files are added, each after those that
// it imports.
type FileSet struct {
	descriptorpb.FileDescriptorSet
	Missing []string // imports that were not found

	seen   map[string]*descriptorpb.FileDescriptorProto // nil for a missing file
	added  map[protoreflect.FileDescriptor]bool
	differ string // a file that was added twice with different contents
}

// Add adds a file and its imports.
func (s *FileSet) Add(fd protoreflect.FileDescriptor) {
	if s.added[fd] {
		return
	}
	if s.added == nil {
		s.added = map[protoreflect.FileDescriptor]bool{}
	}
	s.added[fd] = true
	if fd.IsPlaceholder() {
		if _, seen := s.seen[fd.Path()]; !seen {
			s.note(fd.Path(), nil)
			s.Missing = append(s.Missing, fd.Path())
		}
		return
	}
	for i := range fd.Imports().Len() {
		s.Add(fd.Imports().Get(i).FileDescriptor)
	}
	s.put(protodesc.ToFileDescriptorProto(fd))
}

// put adds a file unless it is there already.
func (s *FileSet) put(fd *descriptorpb.FileDescriptorProto) {
	if old := s.seen[fd.GetName()]; old != nil {
		if !sameFile(old, fd) {
			s.differ = fd.GetName()
		}
		return
	}
	s.note(fd.GetName(), fd)
	s.File = append(s.File, fd)
}

func (s *FileSet) note(path string, fd *descriptorpb.FileDescriptorProto) {
	if s.seen == nil {
		s.seen = map[string]*descriptorpb.FileDescriptorProto{}
	}
	s.seen[path] = fd
}

// sameFile reports whether two files are equal except for comments.
func sameFile(a, b *descriptorpb.FileDescriptorProto) bool {
	if a == b {
		return true
	}
	a, b = proto.Clone(a).(*descriptorpb.FileDescriptorProto), proto.Clone(b).(*descriptorpb.FileDescriptorProto)
	a.SourceCodeInfo, b.SourceCodeInfo = nil, nil
	return proto.Equal(a, b)
}

// read adds the files of serialized descriptor sets.
func (s *FileSet) read(paths []string) error {
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return usage("%w", err)
		}
		one := &descriptorpb.FileDescriptorSet{}
		if err := proto.Unmarshal(b, one); err != nil || len(one.File) == 0 {
			return &Error{Kind: Usage, Err: fmt.Errorf("%s is not a descriptor set", path),
				Next: fmt.Sprintf("make one with `protoc --include_imports --descriptor_set_out=%s FILE.proto`", path)}
		}
		for _, fd := range one.File {
			s.put(fd)
		}
	}
	return nil
}

// Bytes returns the set in the form that Source.Protosets reads.
func (s *FileSet) Bytes() ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(&s.FileDescriptorSet)
}
