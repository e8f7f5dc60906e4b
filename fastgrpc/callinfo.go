package fastgrpc

import (
	"reflect"
	"strings"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// A callInfo is what the options of a call ask for.
type callInfo struct {
	waitForReady bool
	maxRecv      int
	maxSend      int
	header       *metadata.MD
	trailer      *metadata.MD
	peer         *peer.Peer
	onFinish     []func(error)
	creds        []credentials.PerRPCCredentials
	compressor   string
	subtype      string
	forced       bool
	codec        codec
	codecName    string // of the forced codec
	authority    string
}

// setOption applies an option of grpc's, or says which one can't be honored.
func (ci *callInfo) setOption(o grpc.CallOption) error {
	switch o := o.(type) {
	case grpc.HeaderCallOption:
		ci.header = o.HeaderAddr
	case grpc.TrailerCallOption:
		ci.trailer = o.TrailerAddr
	case grpc.PeerCallOption:
		ci.peer = o.PeerAddr
	case grpc.OnFinishCallOption:
		ci.onFinish = append(ci.onFinish, o.OnFinish)
	case grpc.FailFastCallOption:
		ci.waitForReady = !o.FailFast
	case grpc.MaxRecvMsgSizeCallOption:
		ci.maxRecv = o.MaxRecvMsgSize
	case grpc.MaxSendMsgSizeCallOption:
		ci.maxSend = o.MaxSendMsgSize
	case grpc.AuthorityOverrideCallOption:
		ci.authority = o.Authority
	case grpc.PerRPCCredsCallOption:
		ci.creds = append(ci.creds, o.Creds)
	case grpc.CompressorCallOption:
		ci.compressor = o.CompressorType
	case grpc.ContentSubtypeCallOption:
		ci.subtype = o.ContentSubtype
	case grpc.ForceCodecCallOption:
		ci.forced, ci.codec, ci.codecName = true, codec{v1: o.Codec}, o.Codec.Name()
	case grpc.ForceCodecV2CallOption:
		ci.forced, ci.codec, ci.codecName = true, codec{v2: o.CodecV2}, o.CodecV2.Name()
	case grpc.CustomCodecCallOption:
		ci.forced, ci.codec, ci.codecName = true, codec{v1: namedCodec{o.Codec}}, o.Codec.String()
	case grpc.StaticMethodCallOption, grpc.EmptyCallOption, grpc.MaxRetryRPCBufferSizeCallOption:
	default:
		return checkOption(o)
	}
	return nil
}

// namedCodec is a codec of grpc's oldest kind.
type namedCodec struct{ grpc.Codec }

func (c namedCodec) Name() string { return c.String() }

// checkOption returns an error for an option that can't be honored. Options of
// other packages that do nothing for grpc-go itself embed grpc.EmptyCallOption,
// and do nothing here.
func checkOption(o grpc.CallOption) error {
	switch o.(type) {
	case grpc.HeaderCallOption, grpc.TrailerCallOption, grpc.PeerCallOption, grpc.OnFinishCallOption,
		grpc.FailFastCallOption, grpc.MaxRecvMsgSizeCallOption, grpc.MaxSendMsgSizeCallOption,
		grpc.AuthorityOverrideCallOption, grpc.PerRPCCredsCallOption, grpc.CompressorCallOption,
		grpc.ContentSubtypeCallOption, grpc.ForceCodecCallOption, grpc.ForceCodecV2CallOption,
		grpc.CustomCodecCallOption, grpc.StaticMethodCallOption, grpc.EmptyCallOption,
		grpc.MaxRetryRPCBufferSizeCallOption:
		return nil
	}
	t := reflect.TypeOf(o)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && t.Kind() == reflect.Struct && t.PkgPath() != "google.golang.org/grpc" {
		if f, ok := t.FieldByName("EmptyCallOption"); ok && f.Type == reflect.TypeFor[grpc.EmptyCallOption]() {
			return nil
		}
	}
	return status.Errorf(codes.Internal, "fastgrpc: the call option %T can't be honored outside of grpc-go; leave it out, or use grpc.NewClient", o)
}

// settle makes the choice of codec and compressor. It returns the call's
// content-type if that isn't plain.
func (ci *callInfo) settle(proto codec) (contentType string, err error) {
	if ci.compressor != "" && ci.compressor != encoding.Identity && encoding.GetCompressor(ci.compressor) == nil {
		return "", status.Errorf(codes.Internal, "grpc: Compressor is not installed for requested grpc-encoding %q", ci.compressor)
	}
	if ci.forced {
		if ci.subtype == "" {
			ci.subtype = strings.ToLower(ci.codecName)
		}
	} else {
		ci.subtype = strings.ToLower(ci.subtype)
		if ci.codec = proto; ci.subtype != "" {
			var ok bool
			if ci.codec, ok = codecFor(ci.subtype); !ok {
				return "", status.Errorf(codes.Internal, "no codec registered for content-subtype %s", ci.subtype)
			}
		}
	}
	if ci.subtype == "" {
		return "", nil
	}
	return plainContentType + "+" + ci.subtype, nil
}

// acceptable is the value of grpc-accept-encoding.
var acceptable = sync.OnceValue(func() string {
	var names []string
	for _, name := range []string{"gzip", "snappy", "zstd", "deflate"} {
		if encoding.GetCompressor(name) != nil {
			names = append(names, name)
		}
	}
	return strings.Join(names, ",")
})
