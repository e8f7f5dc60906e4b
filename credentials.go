package grpcpipe

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/grpc/credentials"

	"github.com/grpcpipe/grpcpipe/internal/creds"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// AuthInfo is what the AuthInfo of grpc's peer.Peer holds for a connection over
// a pipe whose end uses the credentials of [NewCredentials], as [NewClient] and
// [ServerOptions] do. Its fields:
//
//   - Peer, a *namedpipe.Peer, is the process at the other end, or nil if the
//     connection isn't a pipe's.
//   - Over is the AuthInfo of the credentials on top of the pipe, such as
//     credentials.TLSInfo, or nil.
//   - SecurityLevel is PrivacyAndIntegrity if the other end is on this machine
//     and its user is known; then per-call credentials that require transport
//     security are sent. Otherwise it is that of Over, or NoSecurity.
type AuthInfo = creds.AuthInfo

// PeerFromContext returns the process that made the call, in a handler or an
// interceptor of a server, or in a stats.Handler. It reports false if the server
// doesn't use our credentials or the connection isn't a pipe's. It takes no
// system call.
func PeerFromContext(ctx context.Context) (*namedpipe.Peer, bool) {
	return creds.FromContext(ctx)
}

// Impersonate runs f as the client that made the call, with the token that the
// client connected with, and returns f's error. It works in the handlers of a
// server on Windows whose options are ServerOptions or whose credentials are
// NewCredentials; elsewhere the error matches errors.ErrUnsupported.
//
// f runs on a thread of its own. Goroutines that it starts are not the client
// but the server: open files and the like in f itself, and hand them on. The
// client must have granted the level Impersonation (here WithDialer and
// namedpipe.Dialer.ImpersonationLevel; in .NET the NamedPipeClientStream's
// TokenImpersonationLevel), and to act as another user the server needs
// SeImpersonatePrivilege, which services and administrators have. What is
// missing is named by the error, which matches fs.ErrPermission; f is not run
// then. Panics come through. If the thread can't be made the server's again the
// process ends.
func Impersonate(ctx context.Context, f func() error) error {
	client, ok := creds.FromContext(ctx)
	if !ok {
		return fmt.Errorf("grpcpipe: this call did not come over a pipe that the server's credentials know: use grpcpipe.ServerOptions: %w", errors.ErrUnsupported)
	}
	return client.Impersonate(f)
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
	return creds.New(over)
}
