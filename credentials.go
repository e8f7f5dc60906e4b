package grpcpipe

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// protocol is the name of our credentials, in ProtocolInfo and AuthInfo.
const protocol = "npipe"

// pipeCredentials are the transport credentials of both ends of a pipe. They
// leave the bytes as they are: what a pipe protects, the system protects.
type pipeCredentials struct{}

func newCredentials() credentials.TransportCredentials { return pipeCredentials{} }

// ClientHandshake has nothing to do: the dialer has wrapped the connection.
func (pipeCredentials) ClientHandshake(_ context.Context, _ string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return c, newAuthInfo(), nil
}

// ServerHandshake doesn't touch the connection, so it takes no time and a silent
// client is left to grpc.ConnectionTimeout. The wrapper lets grpc read without
// holding a buffer while it waits.
func (pipeCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	if pipe, ok := c.(*namedpipe.Conn); ok {
		c = newServerConn(pipe)
	}
	return c, newAuthInfo(), nil
}

func (pipeCredentials) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: protocol}
}

func (p pipeCredentials) Clone() credentials.TransportCredentials { return p }

// OverrideServerName does nothing: grpc.WithAuthority has taken its place.
func (pipeCredentials) OverrideServerName(string) error { return nil }

// authInfo is what handlers and clients find in peer.Peer.AuthInfo. The level is
// NoSecurity until the identity of the other end is checked: per-call
// credentials that ask for a safe transport are refused.
type authInfo struct {
	credentials.CommonAuthInfo
}

func newAuthInfo() authInfo {
	return authInfo{credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}
}

func (authInfo) AuthType() string { return protocol }

// ValidateAuthority lets a call set any :authority: a pipe proves no name.
func (authInfo) ValidateAuthority(string) error { return nil }
