package fastgrpc

import "github.com/grpcpipe/grpcpipe/internal/h2"

// Limits bound what the other end of a connection can make this one hold or do.
type Limits = h2.Limits
