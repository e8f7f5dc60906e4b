//go:build !unix

package h2

import "net"

// newRawCarrier returns nil: no attempt at a write is possible here.
func newRawCarrier(net.Conn) Carrier { return nil }
