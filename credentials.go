package grpcpipe

import (
	"context"
	"net"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/peer"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// protocol is the name of our credentials, in ProtocolInfo and AuthInfo.
const protocol = "npipe"

// AuthInfo is what grpc's peer.Peer.AuthInfo holds for a connection over a pipe
// whose end uses the credentials of NewCredentials, as NewClient and
// ServerOptions do. Its security level is PrivacyAndIntegrity if the other end
// is on this machine and its user is known: then per-call credentials that ask
// for a safe transport are sent.
type AuthInfo struct {
	credentials.CommonAuthInfo

	// Peer is the process at the other end. It is nil if the connection isn't a
	// pipe's.
	Peer *namedpipe.Peer

	// Over is the AuthInfo of the credentials on top of the pipe, such as
	// credentials.TLSInfo, or nil.
	Over credentials.AuthInfo

	pipe *namedpipe.Conn
}

// AuthType returns "npipe".
func (AuthInfo) AuthType() string { return protocol }

// ValidateAuthority leaves the :authority of a call to the credentials on top of
// the pipe, if they care. A pipe itself proves no name.
func (a AuthInfo) ValidateAuthority(authority string) error {
	if v, ok := a.Over.(credentials.AuthorityValidator); ok {
		return v.ValidateAuthority(authority)
	}
	return nil
}

// PeerFromContext returns the process that made the call, in a handler or an
// interceptor of a server, or in a stats.Handler. It reports false if the server
// doesn't use our credentials or the connection isn't a pipe's. It takes no
// system call.
func PeerFromContext(ctx context.Context) (*namedpipe.Peer, bool) {
	info, ok := authInfoFrom(ctx)
	if !ok || info.Peer == nil {
		return nil, false
	}
	return info.Peer, true
}

func authInfoFrom(ctx context.Context) (AuthInfo, bool) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return AuthInfo{}, false
	}
	info, ok := p.AuthInfo.(AuthInfo)
	return info, ok
}

// NewCredentials returns transport credentials, for either end, that find out
// who is at the other end of the pipe. If over is not nil its handshake follows
// on top of the pipe, as for the article's HTTPS endpoint:
//
//	grpcpipe.NewCredentials(credentials.NewTLS(config))
//
// TLS credentials by themselves work too; then AuthInfo is TLS's alone, and
// PeerFromContext knows nothing. The server's name under TLS is localhost unless
// the configuration or grpc.WithAuthority says otherwise.
//
// A server's handshake waits for the client's first byte on Windows, for at most
// 10 seconds; it runs off the accept loop.
func NewCredentials(over credentials.TransportCredentials) credentials.TransportCredentials {
	return pipeCredentials{over: over}
}

type pipeCredentials struct {
	over credentials.TransportCredentials // nil for none
}

// ClientHandshake looks at the server, which the dialer has checked already.
func (p pipeCredentials) ClientHandshake(ctx context.Context, authority string, c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	info := AuthInfo{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}
	if cc, ok := c.(*clientConn); ok {
		info.pipe = cc.pipe
		server, err := cc.pipe.Peer()
		if err != nil {
			return nil, nil, err
		}
		info.Peer = server
		if cc.checked && server.UserProven {
			info.SecurityLevel = credentials.PrivacyAndIntegrity
		}
	}
	if p.over == nil {
		return c, info, nil
	}
	c, over, err := p.over.ClientHandshake(ctx, authority, c)
	return p.onTop(c, info, over, err)
}

// ServerHandshake asks who the client is, once for the whole connection. The
// wrapper lets grpc read without holding a buffer while it waits.
func (p pipeCredentials) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	info := AuthInfo{CommonAuthInfo: credentials.CommonAuthInfo{SecurityLevel: credentials.NoSecurity}}
	if pipe, ok := c.(*namedpipe.Conn); ok {
		client, err := pipe.Peer()
		if err != nil {
			return nil, nil, err
		}
		info.Peer, info.pipe = client, pipe
		if (client.UserProven || client.SameUser) && !client.Remote {
			info.SecurityLevel = credentials.PrivacyAndIntegrity
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
// level that the pipe gives, never lower it.
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

// Info is that of the credentials on top, if any: grpc makes the :scheme of the
// protocol and the :authority of the server's name.
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

// OverrideServerName does nothing: grpc.WithAuthority has taken its place.
func (pipeCredentials) OverrideServerName(string) error { return nil }
