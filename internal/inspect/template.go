package inspect

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// MaxDepth is how deeply messages are nested in a template.
const MaxDepth = 6

// Template returns a message as JSON with every field in it: one element in
// lists and maps, the first field of each oneof, and recursive messages once.
func Template(md protoreflect.MessageDescriptor) []byte {
	var b bytes.Buffer
	writeTemplate(&b, md, nil)
	return b.Bytes()
}

// wellKnown holds the messages whose JSON isn't an object of their fields.
var wellKnown = map[protoreflect.FullName]string{
	"google.protobuf.Timestamp": `"2006-01-02T15:04:05Z"`,
	"google.protobuf.Duration":  `"1.5s"`,
	"google.protobuf.FieldMask": `"field,other.field"`,
	"google.protobuf.Any":       `{"@type":"type.googleapis.com/google.protobuf.StringValue","value":""}`,
	"google.protobuf.Struct":    `{"key":null}`, "google.protobuf.Value": `null`, "google.protobuf.ListValue": `[null]`,
	"google.protobuf.DoubleValue": `0`, "google.protobuf.FloatValue": `0`, "google.protobuf.Int32Value": `0`, "google.protobuf.UInt32Value": `0`,
	"google.protobuf.Int64Value": `"0"`, "google.protobuf.UInt64Value": `"0"`,
	"google.protobuf.BoolValue": `false`, "google.protobuf.StringValue": `""`, "google.protobuf.BytesValue": `""`,
}

// writeTemplate writes md, which is nested in the messages of within.
func writeTemplate(b *bytes.Buffer, md protoreflect.MessageDescriptor, within []protoreflect.FullName) {
	if text, ok := wellKnown[md.FullName()]; ok {
		b.WriteString(text)
		return
	}
	b.WriteByte('{')
	first := true
	for i := range md.Fields().Len() {
		fd := md.Fields().Get(i)
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() && o.Fields().Get(0) != fd {
			continue
		}
		if m := FieldMessage(fd); m != nil && !worthShowing(m, md, within) {
			continue
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		fmt.Fprintf(b, "%q:", fd.JSONName())
		writeField(b, fd, append(within[:len(within):len(within)], md.FullName()))
	}
	b.WriteByte('}')
}

// FieldMessage returns the message type of a field, nil if it has none.
func FieldMessage(fd protoreflect.FieldDescriptor) protoreflect.MessageDescriptor {
	if fd.IsMap() {
		return fd.MapValue().Message()
	}
	return fd.Message()
}

func worthShowing(m, md protoreflect.MessageDescriptor, within []protoreflect.FullName) bool {
	return len(within) < MaxDepth && m.FullName() != md.FullName() && !slices.Contains(within, m.FullName())
}

func writeField(b *bytes.Buffer, fd protoreflect.FieldDescriptor, within []protoreflect.FullName) {
	switch {
	case fd.IsMap():
		b.WriteString(`{`)
		b.WriteString(mapKey(fd.MapKey()))
		b.WriteByte(':')
		writeValue(b, fd.MapValue(), within)
		b.WriteByte('}')
	case fd.IsList():
		b.WriteByte('[')
		writeValue(b, fd, within)
		b.WriteByte(']')
	default:
		writeValue(b, fd, within)
	}
}

func mapKey(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.StringKind:
		return `"key"`
	case protoreflect.BoolKind:
		return `"true"`
	}
	return `"1"`
}

func writeValue(b *bytes.Buffer, fd protoreflect.FieldDescriptor, within []protoreflect.FullName) {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		writeTemplate(b, fd.Message(), within)
	case protoreflect.EnumKind:
		values := fd.Enum().Values()
		if fd.Enum().FullName() == "google.protobuf.NullValue" || values.Len() == 0 {
			b.WriteString("null")
			return
		}
		b.WriteString(strconv.Quote(string(values.Get(0).Name())))
	case protoreflect.BoolKind:
		b.WriteString("false")
	case protoreflect.StringKind, protoreflect.BytesKind:
		b.WriteString(`""`)
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind, protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		b.WriteString(`"0"`)
	default:
		b.WriteString("0")
	}
}
