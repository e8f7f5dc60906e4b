package fastgrpc

import (
	"context"
	"net"

	"github.com/grpcpipe/grpcpipe/internal/h2"
)

// A wire is what is under a client's or a server's connections. The zero value is
// the system's; a simulation has another.
type wire struct {
	dial  func(ctx context.Context, path string) (net.Conn, error) // of clients
	carry func(net.Conn) h2.Carrier
	guard *h2.Sentinel
}

// conn returns an end of an HTTP/2 connection over c.
func (w *wire) conn(c net.Conn, h h2.Handler, server bool, lim h2.Limits) *h2.Conn {
	carry := w.carry
	if carry == nil {
		carry = h2.NewCarrier
	}
	return h2.NewConn(carry(c), h, server, lim, w.guard)
}
