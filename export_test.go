package grpcpipe

import (
	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/internal/follow"
)

// NewClientWithLister is NewClient for a pattern, with another lister.
func NewClientWithLister(text string, list follow.Lister, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	return newClient(text, list, opts)
}
