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
// be below this process's own level, of which no more than high counts and, in a
// process that isn't elevated, no more than medium (no label counts as medium):
// the same user's sandboxed or unelevated processes can't play the server.
//
// A pipe's name proves nothing: any process may have made it first.
type Trust struct {
	// Users and Groups are owners accepted besides the default ones, by name or
	// SID; elsewhere by name or number. NT SERVICE\name names a service that
	// runs as LocalService, NetworkService or its own virtual account and has a
	// SID (sc sidtype). A SID needs no look-up, which may take seconds where a
	// domain controller must be asked; the result is kept for a minute.
	Users, Groups []string

	// LowIntegrity accepts a pipe of this user's whatever its label (Windows
	// only), such as one with Access.LowIntegrity. Then a sandboxed program of
	// this user may play the server.
	LowIntegrity bool

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

// A TrustError is the error of Dial for a server that Trust refuses. Nothing was
// sent to that server. It matches fs.ErrPermission and, if Check refused the
// server, Check's error.
type TrustError struct {
	Server *Peer  // who the server is, as far as that is known
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
		remedy = "run both at the same integrity, or set Trust.LowIntegrity to let this user's sandboxed programs play the server"
	case "Anyone":
		remedy = "to accept it all the same, set Trust.Anyone"
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

// process holds the server against the demands on its process and the caller's
// own function, which come after the check of the owner.
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

// wantsProcess tells whether the process behind the pipe must be looked at.
func (t *Trust) wantsProcess() bool {
	return t.PID != 0 || t.Executable != "" || t.Check != nil
}
