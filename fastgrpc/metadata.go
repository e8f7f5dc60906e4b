package fastgrpc

import (
	"encoding/base64"
	"fmt"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

const (
	contentTypeKey   = "content-type"
	timeoutKey       = "grpc-timeout"
	encodingKey      = "grpc-encoding"
	acceptKey        = "grpc-accept-encoding"
	statusKey        = "grpc-status"
	messageKey       = "grpc-message"
	detailsKey       = "grpc-status-details-bin"
	plainContentType = "application/grpc"
)

// reserved reports whether gRPC itself sets a field, so that metadata of this
// name isn't sent.
func reserved(key string) bool {
	if key == "" || key[0] == ':' {
		return true
	}
	switch key {
	case contentTypeKey, "user-agent", messageKey, encodingKey, acceptKey, statusKey, timeoutKey,
		"te", "connection", "host":
		return true
	}
	return false
}

// checkMetadata checks what is to be sent. gRPC says which keys and values there
// may be.
func checkMetadata(key string, values []string) error {
	if key == "" {
		return status.Error(codes.Internal, "there is an empty key in the header")
	}
	for i := range len(key) {
		c := key[i]
		if !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-' && c != '_' {
			return status.Errorf(codes.Internal, "header key %q contains illegal characters not in [0-9a-z-_.]", key)
		}
	}
	if strings.HasSuffix(key, "-bin") {
		return nil
	}
	for _, v := range values {
		for i := range len(v) {
			if v[i] < 0x20 || v[i] > 0x7e {
				return status.Errorf(codes.Internal, "header key %q contains value with non-printable ASCII characters", key)
			}
		}
	}
	return nil
}

// appendMetadata appends metadata as fields. Keys are lower-cased already.
func appendMetadata(dst []h2.Field, md metadata.MD) ([]h2.Field, error) {
	for key, values := range md {
		if reserved(key) {
			continue
		}
		if err := checkMetadata(key, values); err != nil {
			return dst, err
		}
		for _, v := range values {
			dst = append(dst, h2.Field{Name: key, Value: encodeBinary(key, v)})
		}
	}
	return dst, nil
}

// encodeBinary is a value as it goes over the wire.
func encodeBinary(key, v string) string {
	if strings.HasSuffix(key, "-bin") {
		return base64.RawStdEncoding.EncodeToString([]byte(v))
	}
	return v
}

// addReceived adds a field to metadata. The values of a binary one may be joined
// by commas.
func addReceived(md metadata.MD, f h2.Field) error {
	if !strings.HasSuffix(f.Name, "-bin") {
		md[f.Name] = append(md[f.Name], f.Value)
		return nil
	}
	for part := range strings.SplitSeq(f.Value, ",") {
		b, err := decodeBinary(strings.Trim(part, " "))
		if err != nil {
			return fmt.Errorf("malformed %s: %w", f.Name, err)
		}
		md[f.Name] = append(md[f.Name], string(b))
	}
	return nil
}

func decodeBinary(s string) ([]byte, error) {
	return base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
}

// received makes metadata of fields, without those that are gRPC's own.
func received(fields []h2.Field) (metadata.MD, error) {
	md := make(metadata.MD, len(fields))
	var failed error
	for _, f := range fields {
		if reserved(f.Name) && f.Name != contentTypeKey {
			continue
		}
		if err := addReceived(md, f); err != nil {
			failed = err
		}
	}
	return md, failed
}
