// Package creds holds what gRPC knows about a connection over a pipe: transport
// credentials for both ends, the connection as gRPC reads it, and the lookup of
// the process that made a call. It serves any gRPC implementation that uses
// google.golang.org/grpc/peer.
package creds

import (
	"context"
	"errors"
	"net"
	"os"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// protocol is the name of our credentials, in ProtocolInfo and AuthInfo.
const protocol = "npipe"

// AuthInfo is documented at grpcpipe.AuthInfo.
type AuthInfo struct {
	credentials.CommonAuthInfo

	// Peer is the process at the other end, or nil if the connection is not a
	// pipe.
	Peer *namedpipe.Peer

	// Over is the AuthInfo of the credentials on top of the pipe, such as
	// credentials.TLSInfo, or nil.
	Over credentials.AuthInfo
}

// AuthType returns "npipe".
func (AuthInfo) AuthType() string { return protocol }

// ValidateAuthority leaves the :authority of a call to the credentials on top
// of the pipe, if they check it. A pipe itself proves no name.
func (a AuthInfo) ValidateAuthority(authority string) error {
	if v, ok := a.Over.(credentials.AuthorityValidator); ok {
		return v.ValidateAuthority(authority)
	}
	return nil
}

// FromContext returns the process at the other end of a call's connection, and
// reports whether it is known.
func FromContext(ctx context.Context) (*namedpipe.Peer, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil, false
	}
	info, ok := p.AuthInfo.(AuthInfo)
	return info.Peer, ok && info.Peer != nil
}

// OfServer returns the AuthInfo of a client's connection. checked reports
// whether the dialer has checked who the server is.
func OfServer(pipe *namedpipe.Conn, checked bool) (AuthInfo, error) {
	server, err := pipe.Peer()
	if err != nil {
		return AuthInfo{}, err
	}
	return of(server, checked && server.UserProven), nil
}

// OfClient returns the AuthInfo of a server's connection. It looks up who the
// client is, which on Windows waits for the client's first byte; see
// namedpipe.Conn.Peer.
func OfClient(pipe *namedpipe.Conn) (AuthInfo, error) {
	client, err := pipe.Peer()
	if err != nil {
		return AuthInfo{}, err
	}
	return of(client, (client.UserProven || client.SameUser) && !client.Remote), nil
}

func of(p *namedpipe.Peer, safe bool) AuthInfo {
	info := AuthInfo{Peer: p, CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}
	if safe {
		info.SecurityLevel = credentials.PrivacyAndIntegrity
	}
	return info
}

// A pipeConn closes the pipe when a write fails for a reason that its reader
// does not see, such as a lack of memory. When a write fails, grpc waits for
// the reader's error, which comes by itself only if the other end is gone.
type pipeConn struct{ *namedpipe.Conn }

func (c pipeConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil && !isGone(err) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.Close()
	}
	return n, err
}

func (c pipeConn) bare() net.Conn { return c.Conn }

// Bare returns the pipe itself if c is what the credentials of this package have
// made of it and nothing is on top, else c. It is for an implementation of gRPC
// that doesn't read as grpc does and closes a connection whose write has failed.
func Bare(c net.Conn) net.Conn {
	if b, ok := c.(interface{ bare() net.Conn }); ok {
		return b.bare()
	}
	return c
}

// New returns transport credentials for either end; see grpcpipe.NewCredentials.
func New(over credentials.TransportCredentials) credentials.TransportCredentials {
	return pipeCredentials{over: over}
}

type pipeCredentials struct {
	over credentials.TransportCredentials // nil for none
}

// ClientHandshake looks up the server, which the dialer has already checked.
func (p pipeCredentials) ClientHandshake(ctx context.Context, authority string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	info := of(nil, false)
	if cc, ok := c.(*clientConn); ok {
		var err error
		if info, err = OfServer(cc.pipe, cc.checked); err != nil {
			return nil, nil, err
		}
	}
	if p.over == nil {
		return c, info, nil
	}
	c, over, err := p.over.ClientHandshake(ctx, authority, c)
	return p.onTop(c, info, over, err)
}

// ServerHandshake looks up who the client is, once per connection. The wrapper
// lets grpc read without holding a buffer while it waits.
func (p pipeCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	info := of(nil, false)
	if pipe, ok := c.(*namedpipe.Conn); ok {
		var err error
		if info, err = OfClient(pipe); err != nil {
			return nil, nil, err
		}
		c = newServerConn(pipe)
	}
	if p.over == nil {
		return c, info, nil
	}
	c, over, err := p.over.ServerHandshake(c)
	return p.onTop(c, info, over, err)
}

// onTop adds what the credentials over the pipe have found. They may raise the
// security level that the pipe gives, but never lower it.
func (p pipeCredentials) onTop(c net.Conn, info AuthInfo, over credentials.AuthInfo, err error) (net.Conn, credentials.AuthInfo, error) {
	if err != nil {
		return nil, nil, err
	}
	info.Over = over
	if common, ok := over.(interface {
		GetCommonAuthInfo() credentials.CommonAuthInfo
	}); ok {
		info.SecurityLevel = max(info.SecurityLevel, common.GetCommonAuthInfo().SecurityLevel)
	}
	return c, info, nil
}

// Info returns that of the credentials on top, if any: grpc derives the :scheme
// from the protocol and the :authority from the server's name.
func (p pipeCredentials) Info() credentials.ProtocolInfo {
	if p.over != nil {
		return p.over.Info()
	}
	return credentials.ProtocolInfo{SecurityProtocol: protocol}
}

func (p pipeCredentials) Clone() credentials.TransportCredentials {
	if p.over != nil {
		p.over = p.over.Clone()
	}
	return p
}

// OverrideServerName does nothing: grpc.WithAuthority replaces it.
func (pipeCredentials) OverrideServerName(string) error { return nil }
