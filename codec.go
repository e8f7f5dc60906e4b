package grpcpipe

import (
	"fmt"
	"reflect"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/experimental"
	"google.golang.org/grpc/mem"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
)

// ProtobufOnly returns an option for a server whose methods take and return
// protobuf messages only, as nearly all do. It keeps grpc from clearing 1 MiB of
// memory for each message of 32 KiB to 1 MiB that the server receives or sends.
// It goes with [ServerOptions]:
//
//	srv := grpc.NewServer(append(grpcpipe.ServerOptions(), grpcpipe.ProtobufOnly())...)
//
// It is not one of them because it makes grpc ignore the content-subtype of a
// call: codecs that the program has registered under another name, such as json,
// are no longer used. If the program has replaced grpc's own codec for protobuf,
// the option does nothing.
//
// A client needs no such option: NewClient's channels look at each call's
// content-subtype.
func ProtobufOnly() grpc.ServerOption {
	if !stockProto() {
		return grpc.EmptyServerOption{}
	}
	return grpc.ForceServerCodecV2(pipeCodec{})
}

// stockProto reports whether protobuf is encoded by grpc's own codec, which
// pipeCodec can stand in for, and not by one that the program has registered.
func stockProto() bool {
	if encoding.GetCodec(grpcproto.Name) != nil {
		return false
	}
	t := reflect.TypeOf(encoding.GetCodecV2(grpcproto.Name))
	return t != nil && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "google.golang.org/grpc/encoding/proto"
}

// codecOptions returns options that make a channel use pipeCodec, unless an
// option of the caller's or of a call chooses another codec.
func codecOptions() []grpc.DialOption {
	opts := []grpc.DialOption{experimental.WithBufferPool(bufpool.Shared)}
	if stockProto() {
		opts = append(opts, grpc.WithDefaultCallOptions(grpc.ForceCodecV2(pipeCodec{})))
	}
	return opts
}

// settleCodec removes pipeCodec from the options of a call whose content-subtype
// is not protobuf: grpc would use a forced codec all the same.
func settleCodec(opts []grpc.CallOption) []grpc.CallOption {
	other := false
	for _, o := range opts {
		if s, ok := o.(grpc.ContentSubtypeCallOption); ok {
			other = s.ContentSubtype != "" && s.ContentSubtype != grpcproto.Name
		}
	}
	if !other {
		return opts
	}
	kept := make([]grpc.CallOption, 0, len(opts))
	for _, o := range opts {
		if f, ok := o.(grpc.ForceCodecV2CallOption); ok && f.CodecV2 == encoding.CodecV2(pipeCodec{}) {
			continue
		}
		kept = append(kept, o)
	}
	return kept
}

// pipeCodec encodes protobuf messages as grpc's own codec does, into buffers
// that are not cleared. grpc's come from a pool that has no size between 32 KiB
// and 1 MiB and clears each buffer whole: for every message between those sizes
// it writes 1 MiB of zeros, at both ends and in both directions.
type pipeCodec struct{}

// Name is empty, which leaves the content-type as it is without a codec of ours.
func (pipeCodec) Name() string { return "" }

func (pipeCodec) Marshal(v any) (mem.BufferSlice, error) {
	m := protoMessage(v)
	if m == nil {
		return nil, fmt.Errorf("proto: failed to marshal, message is %T, want proto.Message", v)
	}
	size := proto.Size(m)
	opts := proto.MarshalOptions{UseCachedSize: true} // of the line above
	if mem.IsBelowBufferPoolingThreshold(size) {
		b, err := opts.Marshal(m)
		if err != nil {
			return nil, err
		}
		return mem.BufferSlice{mem.SliceBuffer(b)}, nil
	}
	buf := bufpool.Shared.Get(size)
	b, err := opts.MarshalAppend((*buf)[:0], m)
	if err != nil {
		bufpool.Shared.Put(buf)
		return nil, err
	}
	*buf = b
	return mem.BufferSlice{mem.NewBuffer(buf, bufpool.Shared)}, nil
}

func (pipeCodec) Unmarshal(data mem.BufferSlice, v any) error {
	m := protoMessage(v)
	if m == nil {
		return fmt.Errorf("failed to unmarshal, message is %T, want proto.Message", v)
	}
	b := data.MaterializeToBuffer(bufpool.Shared)
	defer b.Free()
	return proto.Unmarshal(b.ReadOnlyData(), m)
}

func protoMessage(v any) proto.Message {
	switch m := v.(type) {
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m)
	case protoadapt.MessageV2:
		return m
	}
	return nil
}
