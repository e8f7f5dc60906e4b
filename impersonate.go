package grpcpipe

import (
	"context"
	"errors"
	"fmt"
)

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
	info, ok := authInfoFrom(ctx)
	if !ok || info.pipe == nil {
		return fmt.Errorf("grpcpipe: this call did not come over a pipe that the server's credentials know: use grpcpipe.ServerOptions: %w", errors.ErrUnsupported)
	}
	return info.pipe.Impersonate(f)
}
