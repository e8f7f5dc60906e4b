package cli

import (
	"encoding/json"
	"fmt"

	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// A messagePrinter writes responses, or keeps them.
type messagePrinter struct {
	app      *app
	types    protoresolve.SerializationResolver
	lines    bool // one a line
	keep     bool
	defaults bool
	kept     []json.RawMessage
	text     bool // protobuf's text format
	n        int
}

// printText writes a response in the text format, with the separator between two
// that -d takes.
func (p *messagePrinter) printText(m proto.Message) error {
	b, err := prototext.MarshalOptions{Multiline: true, Resolver: p.types}.Marshal(m)
	if err != nil {
		return internal(fmt.Errorf("the response can't be shown as text: %w", err))
	}
	if p.n++; p.n > 1 {
		b = append([]byte{separator, '\n'}, b...)
	}
	if _, err := p.app.stdout.Write(b); err != nil {
		return internal(err)
	}
	return nil
}

func (p *messagePrinter) print(m proto.Message) error {
	if p.text {
		return p.printText(m)
	}
	opts := protojson.MarshalOptions{Resolver: p.types, EmitDefaultValues: p.defaults}
	b, err := opts.Marshal(m)
	if err != nil {
		return internal(fmt.Errorf("the response can't be shown as JSON: %w", err))
	}
	switch {
	case p.keep:
		p.kept = append(p.kept, compact(b))
		return nil
	case p.lines:
		b = compact(b)
	default:
		b = indented(b)
	}
	if _, err := p.app.stdout.Write(append(b, '\n')); err != nil {
		return internal(err)
	}
	return nil
}
