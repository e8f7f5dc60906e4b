package creds

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/firstbytes"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// tlsWords say how a Go program turns TLS on and off.
var tlsWords = firstbytes.Words{
	AddTLS:  "add TLS credentials with grpc.WithTransportCredentials(credentials.NewTLS(...))",
	DropTLS: "leave the TLS credentials out, with an npipe: or http: target",
}

// A clientConn is the client's end of a pipe, for grpc. Its firstbytes.Conn
// turns a server that does not speak HTTP/2 into an error that the caller of an
// RPC gets.
type clientConn struct {
	firstbytes.Conn
	readyReader
	pipe    *namedpipe.Conn // the one in Conn
	checked bool            // the dialer checked who the server is
	tlsOnly bool
}

// NewClientConn wraps a connection whose first bytes must come before the
// deadline of ctx, the one in which grpc dialed. With tlsOnly it refuses to
// send anything that isn't TLS.
func NewClientConn(ctx context.Context, pipe *namedpipe.Conn, tlsOnly, checked bool) net.Conn {
	c := &clientConn{pipe: pipe, tlsOnly: tlsOnly, checked: checked}
	c.readyReader.init(pipe)
	end, _ := ctx.Deadline()
	c.Conn.Init(pipeConn{pipe}, end, func(f *firstbytes.Fault, allowed time.Duration) error {
		return pipeError("connect", pipe.RemoteAddr(), "%s", f.Text(tlsWords, allowed))
	}, nil)
	return c
}

// Write checks the first write of a connection that must use TLS.
func (c *clientConn) Write(p []byte) (int, error) {
	if c.tlsOnly && !c.Conn.HasWritten() && len(p) > 0 && !firstbytes.BeginsTLS(p) {
		return 0, pipeError("write", c.RemoteAddr(), "the target is https: and the channel's credentials are not TLS, so nothing was sent: "+
			"use credentials.NewTLS, or an http: or npipe: target")
	}
	return c.Conn.Write(p)
}

// pipeError is an error in the form of package namedpipe's.
func pipeError(op string, addr net.Addr, format string, args ...any) error {
	return &net.OpError{Op: op, Net: addr.Network(), Addr: addr, Err: fmt.Errorf(format, args...)}
}
