package grpcpipe

import (
	"google.golang.org/grpc"

	"github.com/grpcpipe/grpcpipe/internal/pipelist"
)

// NewClientWithLister is NewClient for a pattern, with another lister.
func NewClientWithLister(text string, list pipelist.Lister, opts ...grpc.DialOption) (*grpc.ClientConn, error) {
	t, err := parseTarget(text)
	if err != nil {
		return nil, err
	}
	return newPipeClient(t, list, opts)
}
