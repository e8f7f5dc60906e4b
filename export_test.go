package grpcpipe

import (
	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/internal/follow"
	"github.com/grpcpipe/grpcpipe/internal/target"
)

// NewClientWithLister is NewClient for a pattern, with another lister.
func NewClientWithLister(text string, list follow.Lister, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	t, err := target.Parse(text)
	if err != nil {
		return nil, err
	}
	return newPipeClient(t, list, opts)
}
