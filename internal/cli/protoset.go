package cli

import (
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// writeProtoset writes the files of descriptors, with all that they import, as
// --protoset reads them.
func (a *app) writeProtoset(path string, all []protoreflect.Descriptor) error {
	if err := namesFile("--protoset-out", path); err != nil {
		return err
	}
	var set inspect.FileSet
	for _, d := range all {
		set.Add(d.ParentFile())
	}
	if len(set.Missing) > 0 {
		fmt.Fprintf(a.stderr, "grpcpipe: the server doesn't tell %s, which is imported, so --protoset will refuse the set\n", strings.Join(set.Missing, ", "))
	}
	b, err := set.Bytes()
	if err != nil {
		return internal(err)
	}
	if err := os.WriteFile(path, b, 0o666); err != nil { // no secret: the umask decides
		return usage("--protoset-out: %w", err)
	}
	return nil
}
