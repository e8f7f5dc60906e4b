//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
)

// verify checks the server behind a fresh connection.
func (t *Trust) verify(_ context.Context, c conn, path string) error {
	if t.Anyone && !t.wantsProcess() {
		return nil
	}
	cred, err := c.ask()
	if errors.Is(err, errors.ErrUnsupported) {
		file, serr := os.Lstat(path)
		if serr != nil {
			return explain(serr, "can't look at the socket's owner", "dial again")
		}
		cred, err = &credentials{uid: ownerOf(file)}, nil
	}
	if err != nil {
		return explain(err, "the system doesn't report who the server is", "")
	}
	accepted, err := t.owner(cred)
	if err != nil || accepted && !t.wantsProcess() {
		return err
	}
	cred.process(c.UnixConn)
	switch {
	case accepted:
		return t.process(cred.peer())
	case cred.uid == unknownID:
		return &TrustError{Server: cred.peer(), Reason: "its user is not mapped in this user namespace", Field: "Anyone"}
	}
	return &TrustError{Server: cred.peer(), Reason: "its user is neither this one nor root", Field: "Users"}
}

func (t *Trust) owner(cred *credentials) (accepted bool, _ error) {
	if t.Anyone || cred.uid == os.Geteuid() || cred.uid == 0 {
		return true, nil
	}
	for _, name := range t.Users {
		if uid, err := userID(name); err != nil || uid == cred.uid {
			return true, err
		}
	}
	for _, name := range t.Groups {
		if gid, err := groupID(name); err != nil || slices.Contains(cred.groups, gid) {
			return true, err
		}
	}
	return false, nil
}

// whoListens describes the server of a socket, or returns nil.
func whoListens(path string) *Peer {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil
	}
	defer c.Close()
	cred, err := credentialsOf(c)
	if err != nil {
		return nil
	}
	cred.process(c)
	return cred.peer()
}
