//go:build !unix

package creds

import (
	"net"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// readyReader is empty: a read on a Windows pipe is handed to the system
// together with its buffer, so it can't wait without one.
type readyReader struct{}

func (readyReader) init(*namedpipe.Conn) {}

func newServerConn(pipe *namedpipe.Conn) net.Conn { return pipeConn{pipe} }
