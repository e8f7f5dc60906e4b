package fastgrpc

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
)

// SetSendCompressor is grpc.SetSendCompressor for handlers of either server: it
// sets the compressor of the call's responses, before the first is sent. The
// client must have said that it takes it.
func SetSendCompressor(ctx context.Context, name string) error {
	c, ok := grpc.ServerTransportStreamFromContext(ctx).(*callCtx)
	if !ok {
		return grpc.SetSendCompressor(ctx, name)
	}
	return c.withCall(func(call *serverCall) error {
		if call.sentHead {
			return errHeaderSent
		}
		if name == encoding.Identity {
			call.comp, call.compName = nil, ""
			return nil
		}
		comp := encoding.GetCompressor(name)
		if comp == nil {
			return fmt.Errorf("unable to set send compressor: compressor not registered %q", name)
		}
		if !slices.Contains(c.accepts(), name) {
			return fmt.Errorf("unable to set send compressor: client does not support compressor %q", name)
		}
		call.comp, call.compName = comp, name
		return nil
	})
}

// ClientSupportedCompressors is grpc.ClientSupportedCompressors for handlers of
// either server: the compressors that the client takes.
func ClientSupportedCompressors(ctx context.Context) ([]string, error) {
	c, ok := grpc.ServerTransportStreamFromContext(ctx).(*callCtx)
	if !ok {
		return grpc.ClientSupportedCompressors(ctx)
	}
	return c.accepts(), nil
}

func (c *callCtx) accepts() []string {
	var names []string
	for name := range strings.SplitSeq(c.accept, ",") {
		if name = strings.Trim(name, " "); name != "" {
			names = append(names, name)
		}
	}
	return names
}
