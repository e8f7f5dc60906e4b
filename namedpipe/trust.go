package namedpipe

import (
	"fmt"
	"io/fs"
	"strings"
)

// Trust says which servers a Dialer accepts. The check is made before a byte is
// sent. The zero value accepts a server whose pipe is owned by this process's
// own user (on Windows: its token's Owner, as .NET's CurrentUserOnly has it), by
// LocalSystem or Administrators, elsewhere one whose process is this user's or
// root's. On Windows the integrity label of a pipe that this user owns must not
// be below this process's own level (no label counts as medium): the same
// user's sandboxed or unelevated processes can't play the server.
//
// A pipe's name proves nothing: any process may have made it first.
type Trust struct {
	// Users and Groups are owners accepted besides the default ones, by name or
	// SID; elsewhere by name or number. NT SERVICE\name names a service.
	Users, Groups []string

	// Anyone accepts every owner.
	Anyone bool

	// PID, if not 0, is the only process accepted, such as a child that this
	// process has started; Executable, if not "", the only program, by its
	// path. They come on top of the check of the owner. On Windows the process
	// is the one that made the first instance of the pipe, so they are worth as
	// much as the pipe's access is strict.
	PID        int
	Executable string

	// Check, if not nil, has the last word. It is called with what is known of
	// the server, after all other checks have passed.
	Check func(*Peer) error
}

// refuse makes the error for a server that is not trusted. It says who the
// server is as far as that can be known, and what would accept it.
func refuse(p *Peer, why, remedy string) error {
	var who strings.Builder
	if p.User.ID != "" {
		fmt.Fprintf(&who, "owner %s", p.User)
		if p.User.Name != "" {
			fmt.Fprintf(&who, " (%s)", p.User.ID)
		}
	}
	if p.PID != 0 {
		fmt.Fprintf(&who, ", process %d", p.PID)
	}
	if p.Executable != "" {
		fmt.Fprintf(&who, ", %s", p.Executable)
	}
	return &problem{
		text:   fmt.Sprintf("the server is not trusted: %s [%s]; nothing was sent to it; %s", why, strings.TrimPrefix(who.String(), ", "), remedy),
		causes: []error{fs.ErrPermission},
	}
}

// process holds the server against the demands on its process and the caller's
// own function, which come after the check of the owner.
func (t *Trust) process(p *Peer) error {
	switch {
	case t.PID != 0 && p.PID != t.PID:
		return refuse(p, fmt.Sprintf("its process is not %d", t.PID), "check Trust.PID")
	case t.Executable != "" && !sameFile(p.Executable, t.Executable):
		return refuse(p, "its program is not "+t.Executable, "check Trust.Executable")
	case t.Check != nil:
		if err := t.Check(p); err != nil {
			r := refuse(p, err.Error(), "see Trust.Check").(*problem)
			r.causes = append(r.causes, err)
			return r
		}
	}
	return nil
}

// wantsProcess tells whether the process behind the pipe must be looked at.
func (t *Trust) wantsProcess() bool {
	return t.PID != 0 || t.Executable != "" || t.Check != nil
}
