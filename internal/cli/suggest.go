package cli

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

var (
	unknownField = regexp.MustCompile(`unknown field:? "?([^"\s]+)"?`)
	badEnum      = regexp.MustCompile(`invalid value for enum field (\S+): "?([^"]*)"?$`)
)

// unfit explains JSON that isn't the message it should be.
func (r *requests) unfit(md protoreflect.MessageDescriptor, err error) error {
	// protojson puts a space of either kind behind its prefix, so that nobody
	// relies on the text.
	text := strings.TrimSpace(strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto:"))
	hint := fmt.Sprintf("`grpcpipe describe %s %s` shows its fields", cmp.Or(r.target, "TARGET"), md.FullName())
	if found := unknownField.FindStringSubmatch(text); found != nil {
		if near := inspect.Nearest(found[1], fieldNames(md), 2); len(near) > 0 {
			hint = "did you mean " + quoted(near) + "?"
		}
	}
	if found := badEnum.FindStringSubmatch(text); found != nil {
		if values := enumValues(md, found[1]); len(values) > 0 {
			hint = "write one of " + strings.Join(values, ", ")
			if near := inspect.Nearest(found[2], values, 2); len(near) > 0 {
				hint = "did you mean " + quoted(near) + "?"
			}
		}
	}
	return &failure{exit: exitUsage, err: fmt.Errorf("%s: request %d is not a valid %s: %s", r.name, r.n, md.FullName(), text), hint: hint}
}

// quoted are names in quotes with "or" between them.
func quoted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = strconv.Quote(n)
	}
	return strings.Join(out, " or ")
}

// enumValues are the values of the enum in a field of a message or of one in it.
func enumValues(md protoreflect.MessageDescriptor, field string) []string {
	var values []string
	eachField(md, nil, func(fd protoreflect.FieldDescriptor) {
		if fd.Enum() != nil && (fd.JSONName() == field || string(fd.Name()) == field) {
			for i := range fd.Enum().Values().Len() {
				values = append(values, string(fd.Enum().Values().Get(i).Name()))
			}
		}
	})
	slices.Sort(values)
	return slices.Compact(values)
}

// fieldNames are the JSON names of the fields of a message and those in it.
func fieldNames(md protoreflect.MessageDescriptor) []string {
	var names []string
	eachField(md, nil, func(fd protoreflect.FieldDescriptor) { names = append(names, fd.JSONName()) })
	slices.Sort(names)
	return slices.Compact(names)
}

// eachField calls f with the fields of a message and those in it.
func eachField(md protoreflect.MessageDescriptor, seen []protoreflect.FullName, f func(protoreflect.FieldDescriptor)) {
	if slices.Contains(seen, md.FullName()) || len(seen) > inspect.MaxDepth {
		return
	}
	seen = append(seen, md.FullName())
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		f(fd)
		if m := inspect.FieldMessage(fd); m != nil {
			eachField(m, seen, f)
		}
	}
}
