//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
)

func (c *Conn) identify() (*Peer, error) {
	cred, err := c.conn.ask()
	if errors.Is(err, errors.ErrUnsupported) {
		// All that is known is that the socket's mode let the client in.
		return &Peer{SameUser: c.onlySelf}, nil
	}
	if err != nil {
		return nil, explain(err, "the system doesn't tell who is at the other end", "")
	}
	cred.process(c.conn.UnixConn)
	p := cred.peer()
	if !p.UserProven {
		p.SameUser = c.onlySelf // the socket's mode has told that
	}
	return p, nil
}

func (cred *credentials) peer() *Peer {
	p := &Peer{
		PID:           cred.pid,
		PIDProven:     cred.proven,
		Executable:    cred.program,
		Administrator: cred.uid == 0,
		Elevated:      cred.uid == 0,
		UserProven:    cred.uid != unknownID,
		SameUser:      cred.uid == os.Geteuid(),
		file:          cred.file,
		birth:         cred.birth,
	}
	if p.UserProven {
		p.User = userOf(cred.uid)
	}
	for _, g := range cred.groups {
		p.Groups = append(p.Groups, strconv.Itoa(g))
	}
	return p
}

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
		return explain(err, "the system doesn't tell who the server is", "")
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
		return &TrustError{Server: cred.peer(), Reason: "its user has no number of its own in this user namespace", Field: "Anyone"}
	}
	return &TrustError{Server: cred.peer(), Reason: "its user is neither this one nor root", Field: "Users"}
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

func (p *Peer) runs(path string) bool {
	file, err := os.Stat(path)
	return err == nil && p.file != nil && os.SameFile(p.file, file)
}

func (c *Conn) impersonate(func() error) error {
	return opError("impersonate", c.addr, unsupported("acting as the client is for Windows only"))
}

// There is no token to keep and nothing to peek at off Windows.

type clientToken struct{}

func (clientToken) close() {}

type peekedByte struct{}

func (peekedByte) take([]byte) int { return 0 }
