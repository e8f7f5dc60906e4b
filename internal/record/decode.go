package record

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/jhump/protoreflect/v2/protoresolve"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// A Decoder makes JSON of messages. Its methods may be called at the same time.
type Decoder struct {
	open func() (*inspect.Schema, error)

	mu      sync.Mutex
	opened  bool
	schema  *inspect.Schema
	err     error
	methods map[string]found
}

type found struct {
	m   protoreflect.MethodDescriptor
	err error
}

// NewDecoder returns a decoder with the schema that open returns, which is called
// when the first message is there. The caller closes the schema.
func NewDecoder(open func() (*inspect.Schema, error)) *Decoder {
	return &Decoder{open: open, methods: map[string]found{}}
}

// method finds a method, each once.
func (d *Decoder) method(name string) (protoreflect.MethodDescriptor, protoresolve.SerializationResolver, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.opened {
		d.opened = true
		d.schema, d.err = d.open()
	}
	if d.err != nil {
		return nil, nil, d.err
	}
	f, ok := d.methods[name]
	if !ok {
		f.m, f.err = d.schema.Method(name)
		d.methods[name] = f
	}
	return f.m, d.schema.Types(), f.err
}

// decode fills in what a line says of a message. Without secrets nothing stays of
// a message that can't be read, for it may hold some.
func (d *Decoder) decode(l *Line, method string, request bool, body []byte, secrets bool) {
	if err := d.message(l, method, request, body, secrets); err != nil {
		l.Why = err.Error()
		if secrets && body != nil {
			l.Raw = bytes.Clone(body)
		}
	}
}

func (d *Decoder) message(l *Line, method string, request bool, body []byte, secrets bool) error {
	if body == nil {
		return fmt.Errorf("it has more than %d bytes", maxMessage)
	}
	m, types, err := d.method(method)
	if err != nil {
		return fmt.Errorf("it can't be decoded: %w", err)
	}
	if l.Compressed != "" {
		if body, err = decompress(l.Compressed, body); err != nil {
			return err
		}
	}
	md := m.Output()
	if request {
		md = m.Input()
	}
	msg := dynamicpb.NewMessage(md)
	if err := (proto.UnmarshalOptions{Resolver: types}).Unmarshal(body, msg); err != nil {
		return fmt.Errorf("it is not a valid %s: %w", md.FullName(), err)
	}
	if !secrets {
		r := redactor{types: types}
		r.message(msg, "")
		l.Redacted = r.hidden
	}
	text, err := protojson.MarshalOptions{Resolver: types}.Marshal(msg)
	if err != nil {
		return fmt.Errorf("it has no JSON form: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, text); err != nil {
		return err
	}
	l.Message = compact.Bytes()
	if hasUnknown(msg) {
		l.Why = "it has fields that the schema does not know, which message lacks"
		if secrets {
			l.Raw = bytes.Clone(body)
		}
	}
	return nil
}

func decompress(encoding string, body []byte) ([]byte, error) {
	if encoding != "gzip" {
		return nil, fmt.Errorf("it is compressed with %s, which this program does not read", encoding)
	}
	z, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("it is not gzip: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(z, maxMessage+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("it is not gzip: %w", err)
	case len(out) > maxMessage:
		return nil, fmt.Errorf("it has more than %d bytes", maxMessage)
	}
	return out, nil
}

// A redactor hides the fields whose names are those of secrets, and notes them.
type redactor struct {
	types  protoresolve.SerializationResolver
	hidden []string
}

func (r *redactor) message(m protoreflect.Message, within string) {
	if m.Descriptor().FullName() == "google.protobuf.Any" {
		r.any(m, within)
		return
	}
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		path := within + fd.JSONName()
		secret := inspect.IsSecret(string(fd.Name()))
		switch {
		case secret && fd.Kind() == protoreflect.StringKind && !fd.IsList():
			m.Set(fd, protoreflect.ValueOfString(Hidden))
			r.hidden = append(r.hidden, path)
		case secret && (fd.Kind() == protoreflect.BytesKind || fd.Kind() == protoreflect.StringKind || fd.IsMap()):
			m.Clear(fd)
			r.hidden = append(r.hidden, path)
		case fd.IsMap():
			r.values(fd, v.Map(), path)
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				r.message(v.List().Get(i).Message(), path+".")
			}
		default:
			r.message(v.Message(), path+".")
		}
		return true
	})
}

// values hides the values of a map whose keys are the names of secrets, those of
// a google.protobuf.Struct too.
func (r *redactor) values(fd protoreflect.FieldDescriptor, values protoreflect.Map, path string) {
	values.Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
		at := path + "." + k.String()
		secret := fd.MapKey().Kind() == protoreflect.StringKind && inspect.IsSecret(k.String())
		switch {
		case secret && fd.MapValue().Kind() == protoreflect.StringKind:
			values.Set(k, protoreflect.ValueOfString(Hidden))
			r.hidden = append(r.hidden, at)
		case secret:
			values.Clear(k)
			r.hidden = append(r.hidden, at)
		case fd.MapValue().Message() != nil:
			r.message(v.Message(), at+".")
		}
		return true
	})
}

// any looks into a google.protobuf.Any. One whose type is not known loses its
// value: nobody can say what is in it.
func (r *redactor) any(m protoreflect.Message, within string) {
	fields := m.Descriptor().Fields()
	url, value := fields.ByName("type_url"), fields.ByName("value")
	mt, err := r.types.FindMessageByURL(m.Get(url).String())
	if err == nil {
		inner := mt.New()
		if err = (proto.UnmarshalOptions{Resolver: r.types}).Unmarshal(m.Get(value).Bytes(), inner.Interface()); err == nil {
			before := len(r.hidden)
			r.message(inner, within)
			if len(r.hidden) == before {
				return
			}
			var b []byte
			if b, err = proto.Marshal(inner.Interface()); err == nil {
				m.Set(value, protoreflect.ValueOfBytes(b))
				return
			}
		}
	}
	m.Clear(value)
	r.hidden = append(r.hidden, within+"value")
}

// hasUnknown reports whether a message, or one in it, has fields that the schema
// does not know.
func hasUnknown(m protoreflect.Message) bool {
	if len(m.GetUnknown()) > 0 {
		return true
	}
	unknown := false
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case fd.IsMap():
			if fd.MapValue().Message() != nil {
				v.Map().Range(func(_ protoreflect.MapKey, v protoreflect.Value) bool {
					unknown = unknown || hasUnknown(v.Message())
					return !unknown
				})
			}
		case fd.Message() == nil:
		case fd.IsList():
			for i := range v.List().Len() {
				unknown = unknown || hasUnknown(v.List().Get(i).Message())
			}
		default:
			unknown = hasUnknown(v.Message())
		}
		return !unknown
	})
	return unknown
}

// Encode makes a message of a line's JSON, or of its bytes.
func Encode(l *Line, md protoreflect.MessageDescriptor, types protoresolve.SerializationResolver) (*dynamicpb.Message, error) {
	msg := dynamicpb.NewMessage(md)
	switch {
	case l.Raw != nil:
		if l.Compressed != "" && l.Message == nil {
			return nil, errors.New("it is compressed")
		}
		return msg, proto.UnmarshalOptions{Resolver: types}.Unmarshal(l.Raw, msg)
	case l.Message != nil:
		return msg, protojson.UnmarshalOptions{Resolver: types}.Unmarshal(l.Message, msg)
	}
	return nil, errors.New(l.Why)
}
