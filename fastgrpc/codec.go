package fastgrpc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/encoding"
	grpcproto "google.golang.org/grpc/encoding/proto"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
	"github.com/grpcpipe/grpcpipe/internal/h2"
)

const prefixLen = 5 // of a message: compressed or not, length

// A codec encodes messages. Protobuf is encoded without a detour unless the
// program has replaced grpc's codec for it.
type codec struct {
	v2 encoding.CodecV2
	v1 encoding.Codec // if v2 is nil; both nil for protobuf
}

// codecFor returns the codec registered for a content-subtype.
func codecFor(subtype string) (codec, bool) {
	if subtype == "" {
		subtype = grpcproto.Name
	}
	if subtype == grpcproto.Name && stockProto() {
		return codec{}, true
	}
	if c := encoding.GetCodecV2(subtype); c != nil {
		return codec{v2: c}, true
	}
	if c := encoding.GetCodec(subtype); c != nil {
		return codec{v1: c}, true
	}
	return codec{}, false
}

// stockProto reports whether protobuf is encoded by grpc's own codec. Codecs are
// registered by init functions only, so it looks once.
var stockProto = sync.OnceValue(func() bool {
	if encoding.GetCodec(grpcproto.Name) != nil {
		return false
	}
	t := reflect.TypeOf(encoding.GetCodecV2(grpcproto.Name))
	return t != nil && t.Kind() == reflect.Pointer && t.Elem().PkgPath() == "google.golang.org/grpc/encoding/proto"
})

// small is up to what size messages are encoded into a call's own buffer.
const small = 4 << 10

// encode encodes a message with its prefix, compressed by comp if that isn't
// nil, and tells its length before. The bytes of small ones are in *scratch.
func (c codec) encode(m any, comp encoding.Compressor, limit int, scratch *[]byte) (p h2.Payload, length int, err error) {
	switch {
	case c.v2 != nil || c.v1 != nil:
		p, err = c.encodeOther(m)
	default:
		p, err = encodeProto(m, scratch)
	}
	if err != nil {
		return h2.Payload{}, 0, status.Errorf(codes.Internal, "grpc: error while marshaling: %v", err)
	}
	length = len(p.B) - prefixLen
	if comp != nil && length > 0 {
		if p, err = compress(p, comp); err != nil {
			return h2.Payload{}, 0, status.Errorf(codes.Internal, "grpc: error while compressing: %v", err)
		}
	}
	n := len(p.B) - prefixLen
	if n > limit {
		release(p)
		return h2.Payload{}, 0, status.Errorf(codes.ResourceExhausted, "trying to send message larger than max (%d vs. %d)", n, limit)
	}
	if uint64(n) > math.MaxUint32 {
		release(p)
		return h2.Payload{}, 0, status.Errorf(codes.ResourceExhausted, "grpc: message too large (%d bytes)", n)
	}
	p.B[1], p.B[2], p.B[3], p.B[4] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return p, length, nil
}

func release(p h2.Payload) {
	if p.Own != nil {
		bufpool.Shared.Put(p.Own)
	}
}

func protoMessage(v any) proto.Message {
	switch m := v.(type) {
	case proto.Message:
		return m
	case protoadapt.MessageV1:
		return protoadapt.MessageV2Of(m)
	}
	return nil
}

// encodeProto encodes behind room for the prefix.
func encodeProto(v any, scratch *[]byte) (h2.Payload, error) {
	m := protoMessage(v)
	if m == nil {
		return h2.Payload{}, fmt.Errorf("proto: failed to marshal, message is %T, want proto.Message", v)
	}
	size := proto.Size(m)
	opts := proto.MarshalOptions{UseCachedSize: true} // of the line above
	if size+prefixLen <= small {
		b, err := opts.MarshalAppend(append((*scratch)[:0], 0, 0, 0, 0, 0), m)
		if err != nil {
			return h2.Payload{}, err
		}
		*scratch = b
		return h2.Payload{B: b}, nil
	}
	own := bufpool.Shared.Get(size + prefixLen)
	b := append((*own)[:0], 0, 0, 0, 0, 0)
	b, err := opts.MarshalAppend(b, m)
	if err != nil {
		bufpool.Shared.Put(own)
		return h2.Payload{}, err
	}
	return h2.Payload{B: b, Own: own}, nil
}

func (c codec) encodeOther(m any) (h2.Payload, error) {
	if c.v2 == nil {
		b, err := c.v1.Marshal(m)
		if err != nil {
			return h2.Payload{}, err
		}
		return payloadOf(len(b), func(dst []byte) { copy(dst, b) }), nil
	}
	s, err := c.v2.Marshal(m)
	if err != nil {
		return h2.Payload{}, err
	}
	defer s.Free()
	return payloadOf(s.Len(), func(dst []byte) { s.CopyTo(dst) }), nil
}

// payloadOf returns a payload of n bytes that fill writes.
func payloadOf(n int, fill func([]byte)) h2.Payload {
	own := bufpool.Shared.Get(n + prefixLen)
	b := *own
	b[0] = 0
	fill(b[prefixLen:])
	return h2.Payload{B: b, Own: own}
}

// compress replaces a payload by a compressed one.
func compress(p h2.Payload, comp encoding.Compressor) (h2.Payload, error) {
	defer release(p)
	var out bytes.Buffer
	out.Write([]byte{1, 0, 0, 0, 0})
	w, err := comp.Compress(&out)
	if err != nil {
		return h2.Payload{}, err
	}
	if _, err := w.Write(p.B[prefixLen:]); err != nil {
		return h2.Payload{}, err
	}
	if err := w.Close(); err != nil {
		return h2.Payload{}, err
	}
	b := out.Bytes()
	return h2.Payload{B: b, Own: &b}, nil
}

// decode decodes a message. The bytes are not kept.
func (c codec) decode(b []byte, m any) error {
	var err error
	switch {
	case c.v2 != nil:
		// The codec may refer to the buffer for longer than this call.
		own := bufpool.Shared.Get(len(b))
		copy(*own, b)
		buf := mem.NewBuffer(own, bufpool.Shared)
		err = c.v2.Unmarshal(mem.BufferSlice{buf}, m)
		buf.Free()
	case c.v1 != nil:
		err = c.v1.Unmarshal(bytes.Clone(b), m)
	default:
		pm := protoMessage(m)
		if pm == nil {
			err = fmt.Errorf("failed to unmarshal, message is %T, want proto.Message", m)
		} else {
			err = proto.Unmarshal(b, pm)
		}
	}
	if err != nil {
		return status.Errorf(codes.Internal, "grpc: failed to unmarshal the received message: %v", err)
	}
	return nil
}

// decompress undoes what the compressor of the given name has done. The result
// is of at most limit bytes, and no more are ever made.
func decompress(b []byte, name string, limit int) ([]byte, error) {
	if name == "" || name == encoding.Identity {
		return nil, status.Error(codes.Internal, "grpc: compressed flag set with identity or empty encoding")
	}
	comp := encoding.GetCompressor(name)
	if comp == nil { // at the client: the server refuses the call before
		return nil, status.Errorf(codes.Internal, "grpc: Decompressor is not installed for grpc-encoding %q", name)
	}
	r, err := comp.Decompress(bytes.NewReader(b))
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: failed to decompress the received message: %v", err)
	}
	var out bytes.Buffer
	_, err = io.Copy(&out, io.LimitReader(r, int64(limit)+1))
	if c, ok := r.(io.Closer); ok {
		err = errors.Join(err, c.Close())
	}
	if err != nil {
		return nil, status.Errorf(codes.Internal, "grpc: failed to decompress the received message: %v", err)
	}
	if out.Len() > limit {
		return nil, status.Errorf(codes.ResourceExhausted, "grpc: message after decompression larger than max %d", limit)
	}
	return out.Bytes(), nil
}
