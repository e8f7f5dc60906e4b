// Package grpcpipe is gRPC between the processes of one machine, over named
// pipes.
package grpcpipe
