//go:build !unix

package creds

import (
	"net"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// readyReader is empty here. A read on a Windows pipe is handed to the system
// together with its buffer; there is no waiting for a pipe to become readable
// without one.
type readyReader struct{}

func (readyReader) init(*namedpipe.Conn) {}

func newServerConn(pipe *namedpipe.Conn) net.Conn { return pipeConn{pipe} }
