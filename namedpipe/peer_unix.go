//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"os"
	"strconv"
)

func (c *Conn) identify() (*Peer, error) {
	cred, err := c.conn.ask()
	if errors.Is(err, errors.ErrUnsupported) {
		// All that is known is that the socket's mode let the client in.
		return &Peer{SameUser: c.onlySelf}, nil
	}
	if err != nil {
		return nil, explain(err, "the system doesn't report who is at the other end", "")
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
