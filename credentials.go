package grpcpipe

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// AuthInfo is the AuthInfo of grpc's peer.Peer for a connection with the
// credentials of [NewCredentials], which [NewClient] and [ServerOptions] use. Its
// fields:
//
//   - Peer, a *namedpipe.Peer, is the process at the other end, or nil if the
//     connection is not a pipe.
//   - Over is the AuthInfo of the credentials on top of the pipe, such as
//     credentials.TLSInfo, or nil.
//   - SecurityLevel is PrivacyAndIntegrity if the other end is on this machine
//     and its user is known. Then per-call credentials that require transport
//     security are sent. Otherwise it is that of Over, or NoSecurity.
type AuthInfo = creds.AuthInfo

// PeerFromContext returns the process that made the call, in a handler or
// interceptor of a server, or in a stats.Handler. It reports false if the server
// doesn't use the credentials of [NewCredentials], or the connection is not a
// pipe. It makes no system call.
func PeerFromContext(ctx context.Context) (*namedpipe.Peer, bool) {
	return creds.FromContext(ctx)
}

// Impersonate runs f as the client that made the call, with the token that the
// client connected with, and returns f's error. It works in handlers on Windows,
// for calls over a pipe whose server uses the credentials of [NewCredentials];
// elsewhere the error matches errors.ErrUnsupported.
//
// f runs on a thread of its own. Goroutines that it starts run as the server, not
// as the client: open files and the like in f itself, and hand them on. The
// client must have granted the level Impersonation (in Go with [WithDialer] and
// namedpipe.Dialer.ImpersonationLevel, in .NET with the TokenImpersonationLevel of
// NamedPipeClientStream). To act as another user the server also needs
// SeImpersonatePrivilege, which services and administrators have. If either is
// missing f is not run, and the error says which and matches fs.ErrPermission. A
// panic in f reaches the caller. If the thread can't be made the server's again
// the process exits.
func Impersonate(ctx context.Context, f func() error) error {
	client, ok := creds.FromContext(ctx)
	if !ok {
		return fmt.Errorf("grpcpipe: this call did not come over a pipe, or the server does not use the credentials of grpcpipe.ServerOptions: %w", errors.ErrUnsupported)
	}
	return client.Impersonate(f)
}

// NewCredentials returns transport credentials, for either end, that identify the
// process at the other end of the pipe. If over is not nil its handshake follows
// on top of the pipe, as with the HTTPS endpoint of Microsoft's article:
//
//	grpcpipe.NewCredentials(credentials.NewTLS(config))
//
// TLS credentials also work alone; then AuthInfo is TLS's, and PeerFromContext
// reports false. The server's name under TLS is localhost unless the configuration
// or grpc.WithAuthority sets another.
//
// On Windows a server's handshake waits for the client's first byte, for at most
// 10 s. It does not block the accept loop.
func NewCredentials(over credentials.TransportCredentials) credentials.TransportCredentials {
	return creds.New(over)
}
