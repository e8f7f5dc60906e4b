package fastgrpc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	spb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

const hexDigits = "0123456789ABCDEF"

// encodeMessage percent-encodes a grpc-message. Bytes that are no UTF-8 become
// U+FFFD.
func encodeMessage(s string) string {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '%' {
			return encodeMessageSlow(s)
		}
	}
	return s
}

func encodeMessageSlow(s string) string {
	var b strings.Builder
	for _, r := range s {
		var buf [utf8.UTFMax]byte
		for _, c := range buf[:utf8.EncodeRune(buf[:], r)] {
			if c < 0x20 || c > 0x7e || c == '%' {
				b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
			} else {
				b.WriteByte(c)
			}
		}
	}
	return b.String()
}

// decodeMessage undoes percent-encoding; what is no escape stays as it is.
func decodeMessage(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if v, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(v))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// statusFields appends the fields of a status that isn't OK.
func statusFields(dst []h2.Field, st *status.Status) []h2.Field {
	dst = append(dst, h2.Field{Name: statusKey, Value: strconv.Itoa(int(st.Code()))})
	if m := st.Message(); m != "" {
		dst = append(dst, h2.Field{Name: messageKey, Value: encodeMessage(m)})
	}
	if p := st.Proto(); p != nil && len(p.Details) > 0 {
		if b, err := proto.Marshal(p); err == nil {
			dst = append(dst, h2.Field{Name: detailsKey, Value: base64.RawStdEncoding.EncodeToString(b)})
		}
	}
	return dst
}

// readStatus reads the status of a call's trailers. It returns nil for OK.
func readStatus(fields []h2.Field) error {
	var code, message, details string
	for _, f := range fields {
		switch f.Name {
		case statusKey:
			code = f.Value
		case messageKey:
			message = f.Value
		case detailsKey:
			details = f.Value
		}
	}
	if code == "0" {
		return nil
	}
	if code == "" {
		return status.Error(codes.Unknown, "the server ended the call without a grpc-status")
	}
	n, err := strconv.ParseInt(code, 10, 32)
	if err != nil {
		return status.Errorf(codes.Unknown, "transport: malformed grpc-status: %v", err)
	}
	if n == 0 {
		return nil
	}
	st := &spb.Status{Code: int32(n), Message: decodeMessage(message)}
	if details != "" {
		rich := &spb.Status{}
		if b, err := decodeBinary(details); err == nil && proto.Unmarshal(b, rich) == nil && rich.Code == st.Code {
			st = rich
		}
	}
	return status.ErrorProto(st)
}

// contentSubtype returns the subtype of a gRPC content-type, and reports whether
// it is one.
func contentSubtype(contentType string) (string, bool) {
	rest, ok := strings.CutPrefix(contentType, plainContentType)
	if !ok {
		return "", false
	}
	if rest == "" {
		return "", true
	}
	if rest[0] != '+' && rest[0] != ';' {
		return "", false
	}
	return strings.ToLower(rest[1:]), true
}

// checkResponse checks a response's header list: HTTP must say 200 and the
// content must be gRPC's.
func checkResponse(fields []h2.Field) error {
	httpStatus, contentType, grpcStatus := "", "", false
	for _, f := range fields {
		switch f.Name {
		case ":status":
			httpStatus = f.Value
		case contentTypeKey:
			contentType = f.Value
		case statusKey:
			grpcStatus = true
		}
	}
	if contentType == plainContentType && httpStatus == "200" {
		return nil
	}
	if _, ok := contentSubtype(contentType); ok {
		return nil // whatever HTTP says
	}
	if grpcStatus && contentType == "" && httpStatus == "200" {
		return nil // trailers only, from a server that leaves it out there
	}
	var what []string
	code := codes.Internal
	n, err := strconv.Atoi(httpStatus)
	switch {
	case httpStatus == "":
		what = append(what, "malformed header: missing HTTP status")
	case err != nil:
		return status.Errorf(codes.Internal, "transport: malformed http-status: %v", err)
	default:
		what = append(what, fmt.Sprintf("unexpected HTTP status code received from server: %d (%s)", n, http.StatusText(n)))
		code = fromHTTP(n)
	}
	if contentType == "" {
		what = append(what, "malformed header: missing HTTP content-type")
	} else {
		what = append(what, fmt.Sprintf("transport: received unexpected content-type %q", contentType))
	}
	return status.Error(code, strings.Join(what, "; "))
}

// fromHTTP is doc/http-grpc-status-mapping.md.
func fromHTTP(n int) codes.Code {
	switch n {
	case http.StatusBadRequest:
		return codes.Internal
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.Unimplemented
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return codes.Unavailable
	}
	return codes.Unknown
}

// resetCode is the status of a stream that was reset.
func resetCode(c h2.Code) codes.Code {
	switch c {
	case h2.RefusedStream:
		return codes.Unavailable
	case h2.Cancel:
		return codes.Canceled
	case h2.EnhanceYourCalm, h2.FlowControlError:
		return codes.ResourceExhausted
	case h2.InadequateSecurity:
		return codes.PermissionDenied
	}
	if c <= h2.HTTP11Required {
		return codes.Internal
	}
	return codes.Unknown
}

// toStatus is an error of a call as the caller gets it.
func toStatus(ctx context.Context, err error) error {
	var stream *h2.StreamError
	var large *h2.TooLargeError
	var list *h2.HeaderListError
	switch {
	case err == nil:
		return nil
	case err == ctx.Err():
		return status.FromContextError(err).Err()
	case errors.Is(err, h2.ErrClosed):
		return errClosing
	case errors.As(err, &stream):
		code := resetCode(stream.Code)
		if code == codes.Canceled && expired(ctx) {
			code = codes.DeadlineExceeded
		}
		return status.Error(code, stream.Error())
	case errors.As(err, &large):
		return status.Error(codes.ResourceExhausted, "grpc: "+large.Error())
	case errors.As(err, &list):
		return status.Error(codes.Internal, list.Error())
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	if c := status.FromContextError(err); c.Code() != codes.Unknown {
		return c.Err()
	}
	return status.Error(codes.Unavailable, err.Error())
}
