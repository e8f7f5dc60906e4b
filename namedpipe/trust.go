package namedpipe

import (
	"fmt"
	"io/fs"
	"strings"
)

// Trust specifies which servers a [Dialer] accepts. The check is made before a byte
// is sent.
//
// The zero value accepts a server whose pipe is owned by this process's user (on
// Windows: its token's Owner, as for .NET's CurrentUserOnly), by LocalSystem or by
// Administrators; elsewhere one whose process is this user's or root's. On Windows
// a pipe of this user's must also have an integrity label that is not below this
// process's own level, so that the user's sandboxed or unelevated processes can't
// act as the server. No label counts as medium; this process's level counts as no
// more than high and, if the process isn't elevated, as no more than medium.
//
// A pipe's name proves nothing: any process may have made it first.
type Trust struct {
	// Users and Groups are owners to accept besides the default ones, by name or
	// SID; elsewhere by name or number. NT SERVICE\name is a service that runs as
	// LocalService, NetworkService or its own virtual account and has a SID (sc
	// sidtype). A SID needs no lookup. The lookup of a name may take seconds if
	// a domain controller must answer; its result is kept for a minute.
	Users, Groups []string

	// LowIntegrity accepts a pipe of this user's with any integrity label
	// (Windows only), such as one made with Access.LowIntegrity. It lets the
	// user's sandboxed programs act as the server.
	LowIntegrity bool

	// Anyone accepts every owner.
	Anyone bool

	// PID, if not 0, is the only process to accept, such as a child of this
	// process, and Executable, if not "", the path of the only program. Both are
	// checked in addition to the owner. On Windows the process is the one that
	// made the first instance of the pipe, so these checks are worth no more
	// than the pipe's access rule.
	PID        int
	Executable string

	// Check, if not nil, is called after all other checks have passed, with what
	// is known of the server. The server is accepted if it returns nil.
	Check func(*Peer) error
}

// A TrustError is the error of Dial for a server that Trust refuses. Nothing was
// sent to that server. It matches fs.ErrPermission and, if Check refused the
// server, Check's error.
type TrustError struct {
	Server *Peer  // what is known of the server
	Reason string // why it is refused
	Field  string // the field of Trust that refused it (PID, Executable, Check), or that would accept it (Users, LowIntegrity, Anyone)

	cause error // from Check
}

func (e *TrustError) Error() string {
	p := e.Server
	var who []string
	if p.User.Name != "" {
		who = append(who, fmt.Sprintf("owner %s (%s)", p.User, p.User.ID))
	} else if p.User.ID != "" {
		who = append(who, fmt.Sprintf("owner %s", p.User))
	}
	if p.PID != 0 {
		who = append(who, fmt.Sprintf("process %d", p.PID))
	}
	if p.Executable != "" {
		who = append(who, p.Executable)
	}
	remedy := "see Trust." + e.Field
	switch e.Field {
	case "Users":
		remedy = fmt.Sprintf("to accept it, name it in Trust.Users (%s)", p.User.ID)
	case "LowIntegrity":
		remedy = "run both at the same integrity, or set Trust.LowIntegrity to accept this user's sandboxed programs as servers"
	case "Anyone":
		remedy = "to accept it anyway, set Trust.Anyone"
	}
	return fmt.Sprintf("the server is not trusted: %s [%s]; nothing was sent to it; %s", e.Reason, strings.Join(who, ", "), remedy)
}

// Unwrap returns fs.ErrPermission and the error of Check, if any.
func (e *TrustError) Unwrap() []error {
	if e.cause != nil {
		return []error{fs.ErrPermission, e.cause}
	}
	return []error{fs.ErrPermission}
}

// process checks the server's process and calls Check, both after the check of the
// owner.
func (t *Trust) process(p *Peer) error {
	switch {
	case t.PID != 0 && p.PID != t.PID:
		return &TrustError{Server: p, Reason: fmt.Sprintf("its process is not %d", t.PID), Field: "PID"}
	case t.Executable != "" && !p.runs(t.Executable):
		return &TrustError{Server: p, Reason: "its program is not " + t.Executable, Field: "Executable"}
	case t.Check != nil:
		if err := t.Check(p); err != nil {
			return &TrustError{Server: p, Reason: err.Error(), Field: "Check", cause: err}
		}
	}
	return nil
}

// wantsProcess reports whether the server's process matters.
func (t *Trust) wantsProcess() bool {
	return t.PID != 0 || t.Executable != "" || t.Check != nil
}
