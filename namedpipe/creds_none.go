//go:build netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"net"
)

// These systems have calls of their own that golang.org/x/sys doesn't offer.
// The socket's mode still keeps others out.
const canAskPeer = false

func credentialsOf(*net.UnixConn) (credentials, error) {
	return credentials{}, errors.ErrUnsupported
}

func (cred *credentials) process(*net.UnixConn) {}

// birthOf is not told in a way that golang.org/x/sys can ask for.
func birthOf(int) (uint64, error) { return 0, errors.ErrUnsupported }
