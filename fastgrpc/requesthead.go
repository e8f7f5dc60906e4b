package fastgrpc

import (
	"context"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A requestHead collects what a request's head says.
type requestHead struct {
	httpMethod  string
	subtype     string
	isGRPC      bool
	contentType string
	encoding    string
	hosts       int
	host        string
	timed       bool
	timeout     time.Duration
	http        string // the HTTP status to refuse it by
	err         error
	over        bool  // the list is not whole
	malformed   bool  // as RFC 9113, section 8, has it
	regular     bool  // a field that is no pseudo-header was there
	pseudo      uint8 // which pseudo-headers were
}

// fail notes the first thing that is wrong.
func (h *requestHead) fail(code codes.Code, http, format string, args ...any) {
	if h.err == nil {
		h.err, h.http = status.Errorf(code, format, args...), http
	}
}

// once takes note of a pseudo-header that may be there once.
func (h *requestHead) once(bit uint8) {
	h.malformed = h.malformed || h.pseudo&bit != 0
	h.pseudo |= bit
}

const (
	pseudoMethod = 1 << iota
	pseudoPath
	pseudoScheme
	pseudoAuthority
	needed = pseudoMethod | pseudoPath | pseudoScheme
)

func (h *requestHead) add(ctx *callCtx, f h2.Field) {
	if f.Name[0] != ':' {
		h.regular = true
	} else if h.regular {
		h.malformed = true
	}
	switch f.Name {
	case ":method":
		h.httpMethod = f.Value
		h.once(pseudoMethod)
	case ":path":
		ctx.method = f.Value
		h.once(pseudoPath)
	case ":scheme":
		h.once(pseudoScheme)
	case ":authority":
		ctx.authority = f.Value
		h.once(pseudoAuthority)
	case "host":
		h.host = f.Value
		h.hosts++
	case contentTypeKey:
		h.contentType = f.Value
		if f.Value == plainContentType {
			h.isGRPC = true
		} else if h.subtype, h.isGRPC = contentSubtype(f.Value); !h.isGRPC {
			break
		}
		ctx.contentType = f.Value
	case "user-agent":
		ctx.userAgent = f.Value
	case timeoutKey:
		var err error
		h.timed = true
		if h.timeout, err = parseTimeout(f.Value); err != nil {
			h.fail(codes.Internal, "400", "malformed grpc-timeout: %v", err)
		}
	case encodingKey:
		h.encoding = f.Value
	case acceptKey:
		if ctx.accept != "" && f.Value != "" {
			ctx.accept += ","
		}
		ctx.accept += f.Value
	case "te":
		h.malformed = h.malformed || f.Value != "trailers"
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		h.malformed = true
	case statusKey, messageKey:
	default:
		if f.Name[0] == ':' {
			h.malformed = true
			break
		}
		if strings.HasSuffix(f.Name, "-bin") {
			if err := addReceived(map[string][]string{}, f); err != nil {
				h.fail(codes.Internal, "400", "malformed binary metadata %q in header %q: %v", f.Value, f.Name, err)
			}
		}
		if ctx.extra == nil {
			ctx.extra = make([]h2.Field, 0, 4) // growing from one would allocate each time
		}
		ctx.extra = append(ctx.extra, f)
	}
}

// check says what is wrong with the head, in the order of grpc-go.
func (h *requestHead) check(ctx *callCtx) error {
	switch {
	case h.hosts > 1:
		h.http = "400"
		return status.Errorf(codes.Internal, "num values of host: %v, must only have 1 value as per HTTP/2 spec", h.hosts)
	case h.malformed, !h.over && (h.pseudo&needed != needed || ctx.method == ""):
		h.http = "reset"
		return status.Error(codes.Internal, "a malformed header list")
	case !h.isGRPC && h.err == nil:
		h.http = "415"
		return status.Errorf(codes.InvalidArgument, "invalid gRPC request content-type %q", h.contentType)
	case h.err != nil:
		return h.err
	}
	if h.pseudo&pseudoAuthority == 0 {
		if h.hosts == 0 {
			h.http = "400"
			return status.Error(codes.Internal, "no host or :authority header present")
		}
		ctx.authority = h.host
	}
	if h.httpMethod != "POST" {
		h.http = "405"
		return status.Errorf(codes.Internal, "Received a HEADERS frame with :method %q which should be POST", h.httpMethod)
	}
	if h.timed && h.timeout <= 0 {
		return status.Error(codes.DeadlineExceeded, context.DeadlineExceeded.Error())
	}
	return nil
}
