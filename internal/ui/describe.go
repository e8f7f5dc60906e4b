package ui

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

type serverInfo struct {
	Target   string      `json:"target"`
	Address  string      `json:"address"`
	Who      string      `json:"who,omitempty"`
	Stages   [][2]string `json:"stages"`
	Settings []string    `json:"settings"`
	TLS      string      `json:"tls,omitempty"`
	Services []service   `json:"services"`
}

type service struct {
	Name    string   `json:"name"`
	Comment string   `json:"comment,omitempty"`
	Methods []method `json:"methods"`
}

type method struct {
	Name            string `json:"name"`
	Path            string `json:"path"`
	Comment         string `json:"comment,omitempty"`
	Input           string `json:"input"`
	Output          string `json:"output"`
	ClientStreaming bool   `json:"clientStreaming,omitempty"`
	ServerStreaming bool   `json:"serverStreaming,omitempty"`
	Deprecated      bool   `json:"deprecated,omitempty"`
}

// describe says who the server is and what it serves.
func describe(s *session) (*serverInfo, error) {
	names, err := s.schema.Services()
	if err != nil {
		return nil, err
	}
	info := &serverInfo{Target: s.Target(), Address: s.Addr(), Settings: []string{}, Services: []service{}}
	if p := s.Peer(); p != nil {
		info.Who = p.String()
	}
	st := s.Stages()
	info.Stages = times([]string{"wait", "open", "TLS", "HTTP/2 settings"}, st.Wait, st.Open, st.TLS, st.Settings)
	for _, setting := range s.Settings() {
		info.Settings = append(info.Settings, setting.String())
	}
	if state := s.TLS(); state != nil {
		info.TLS = inspect.DescribeTLS(state)
	}
	// Services that every server has come last.
	slices.SortStableFunc(names, func(a, b protoreflect.FullName) int {
		return cmp.Compare(rank(a), rank(b))
	})
	for _, name := range names {
		d, err := s.schema.Find(string(name))
		if err != nil {
			return nil, err
		}
		svc := service{Name: string(name), Comment: inspect.Comment(d), Methods: []method{}}
		for _, m := range s.schema.Methods(name) {
			o, _ := m.Options().(*descriptorpb.MethodOptions)
			svc.Methods = append(svc.Methods, method{
				Name: string(m.Name()), Path: inspect.MethodPath(m), Comment: inspect.Comment(m),
				Input: string(m.Input().FullName()), Output: string(m.Output().FullName()),
				ClientStreaming: m.IsStreamingClient(), ServerStreaming: m.IsStreamingServer(), Deprecated: o.GetDeprecated(),
			})
		}
		info.Services = append(info.Services, svc)
	}
	return info, nil
}

func rank(service protoreflect.FullName) int {
	if strings.HasPrefix(string(service), "grpc.reflection.") || strings.HasPrefix(string(service), "grpc.health.") {
		return 1
	}
	return 0
}

// schemaInfo is what a form and an editor need to know about a request.
type schemaInfo struct {
	Template string               `json:"template"`
	Types    map[string]*typeInfo `json:"types"`
}

type typeInfo struct {
	Comment string      `json:"comment,omitempty"`
	Fields  []field     `json:"fields,omitempty"`
	Values  []enumValue `json:"values,omitempty"`
}

type field struct {
	Name     string `json:"name"`
	Proto    string `json:"proto"`
	Kind     string `json:"kind"`
	Type     string `json:"type,omitempty"`
	Repeated bool   `json:"repeated,omitempty"`
	MapKey   string `json:"mapKey,omitempty"`
	Oneof    string `json:"oneof,omitempty"`
	Comment  string `json:"comment,omitempty"`
}

type enumValue struct {
	Name    string `json:"name"`
	Number  int32  `json:"number"`
	Comment string `json:"comment,omitempty"`
}

// schema describes the request of a method.
func (u *UI) schema(ctx context.Context, in serverRequest) (*schemaInfo, error) {
	s, err := u.use(ctx, in.Target, in.Options)
	if err != nil {
		return nil, err
	}
	defer s.users.Done()
	m, err := s.schema.Method(in.Method)
	if err != nil {
		return nil, err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, inspect.Template(m.Input()), "", "  "); err != nil {
		return nil, err
	}
	info := &schemaInfo{Template: indented.String(), Types: map[string]*typeInfo{}}
	info.add(m.Input())
	return info, nil
}

// add describes a message and everything in it.
func (i *schemaInfo) add(md protoreflect.MessageDescriptor) {
	name := string(md.FullName())
	if i.Types[name] != nil {
		return
	}
	t := &typeInfo{Comment: inspect.Comment(md), Fields: []field{}}
	i.Types[name] = t
	for n := range md.Fields().Len() {
		fd := md.Fields().Get(n)
		f := field{Name: fd.JSONName(), Proto: string(fd.Name()), Repeated: fd.IsList(), Comment: inspect.Comment(fd)}
		if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
			f.Oneof = string(o.Name())
		}
		value := fd
		if fd.IsMap() {
			f.MapKey, value = fd.MapKey().Kind().String(), fd.MapValue()
		}
		switch value.Kind() {
		case protoreflect.MessageKind, protoreflect.GroupKind:
			f.Kind, f.Type = "message", string(value.Message().FullName())
			i.add(value.Message())
		case protoreflect.EnumKind:
			f.Kind, f.Type = "enum", string(value.Enum().FullName())
			i.addEnum(value.Enum())
		default:
			f.Kind = value.Kind().String()
		}
		t.Fields = append(t.Fields, f)
	}
}

func (i *schemaInfo) addEnum(ed protoreflect.EnumDescriptor) {
	t := &typeInfo{Comment: inspect.Comment(ed)}
	for n := range ed.Values().Len() {
		v := ed.Values().Get(n)
		t.Values = append(t.Values, enumValue{string(v.Name()), int32(v.Number()), inspect.Comment(v)})
	}
	i.Types[string(ed.FullName())] = t
}

// times are named durations, without those that have not happened.
func times(names []string, all ...time.Duration) [][2]string {
	rows := [][2]string{}
	for i, d := range all {
		if d > 0 {
			rows = append(rows, [2]string{names[i], d.Round(time.Microsecond).String()})
		}
	}
	return rows
}
