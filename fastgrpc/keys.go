package fastgrpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
)

// The keys under which grpc's packages look for what belongs to a call. They are
// not exported, but the functions that use them show them to any context. With
// them one object answers for all of a call, and makes what is costly only if it
// is needed.
var (
	peerKey     = learn(func(ctx context.Context) { peer.FromContext(ctx) })
	streamKey   = learn(func(ctx context.Context) { grpc.ServerTransportStreamFromContext(ctx) })
	incomingKey = learn(func(ctx context.Context) { metadata.FromIncomingContext(ctx) })
)

// A probe is a context that records which key is looked up in it.
type probe struct {
	context.Context
	key any
}

func (p *probe) Value(key any) any {
	p.key = key
	return nil
}

// unknownKey is equal to no key that anybody asks for.
type unknownKey struct{ _ byte }

// learn returns the key that a function looks for. If it looks for none, the
// context is built by the packages' own functions; see newCallContext.
func learn(look func(context.Context)) any {
	p := &probe{Context: context.Background(), key: unknownKey{}}
	look(p)
	return p.key
}
