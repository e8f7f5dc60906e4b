package namedpipe

import (
	"fmt"
	"io/fs"
)

// Who is a set of clients for Access.Who; combine them with |. The server's own
// user always gets in.
type Who uint

const (
	// CurrentUser is the user that this process runs as. On Windows that is the
	// token's User, and if the process is elevated a High integrity label keeps
	// the same user's unelevated processes out, as long as everybody else who
	// is let in is named by CurrentUser or Administrators.
	CurrentUser Who = 1 << iota
	// CurrentUserAnyElevation is CurrentUser without the label: an elevated
	// server lets the same user's unelevated processes in. Off Windows it is
	// CurrentUser.
	CurrentUserAnyElevation
	// Administrators are the elevated members of BUILTIN\Administrators;
	// elsewhere root.
	Administrators
	// LocalUsers are the members of BUILTIN\Users; elsewhere everybody who can
	// reach the socket's folder.
	LocalUsers
	// Everyone is every account of this machine, guests and services too.
	Everyone
	// AppContainers are all AppContainer packages (Windows only). A packaged
	// app can open names of the form LOCAL\NAME only, and its user must be let
	// in as well.
	AppContainers
	// LowIntegrity lets in processes of low integrity (Windows only), such as a
	// browser's sandbox, of the users that are let in.
	LowIntegrity

	allWho = LowIntegrity<<1 - 1
)

// Access says who may connect to a listener. The zero value is CurrentUser
// alone. What is asked for and can't be given on a system is an error from
// Listen that matches errors.ErrUnsupported, never a looser rule.
//
// On Windows it becomes the pipe's security descriptor: the server's own
// identity has full access, everybody else the right to read and write only
// (0x12019B), so that no client can add an instance of its own to the pipe.
// Elsewhere the socket's mode and group are a first fence, and Accept holds the
// credentials that the kernel gives for the client against the rule; who is
// refused is disconnected before a byte is read.
type Access struct {
	// Who are the classes of clients let in, joined with |. 0 means CurrentUser,
	// unless Users, Groups, Packages or SDDL say who.
	Who Who

	// Users and Groups are let in too: by account name or SID on Windows, by
	// name or number elsewhere.
	Users, Groups []string

	// Packages are the SIDs (S-1-15-2-…) of AppContainer packages that are let
	// in (Windows only), with the users that are.
	Packages []string

	// Deny are users and groups kept out whatever the rest says.
	Deny []string

	// SDDL is a whole security descriptor in the words of
	// https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format
	// (Windows only). It stands alone: nothing else may be set but Remote. It
	// must give the server's own user full access, since all instances after
	// the first are made under it.
	SDDL string

	// Remote lets in clients on other machines, over SMB (Windows only). It
	// can't be combined with Deny: what a remote client is can't be told from
	// its token alone.
	Remote bool

	// Check, if not nil, has the last word on a client that the rest lets in.
	// It is called before Accept returns the connection, with what can be known
	// before the client has sent a byte: off Windows all of Peer, on Windows the
	// process (PID, Executable, IsProcess) alone. A client that it returns an
	// error for is disconnected, and the error is logged. It must not block.
	Check func(*Peer) error
}

// Describe says what the access means on this system for a server that runs as
// this process does: the security descriptor as SDDL on Windows, elsewhere the
// socket's mode and the ids. The error is the one that Listen would return.
func (a Access) Describe() (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	return a.describe()
}

// who returns Who with the default put in.
func (a Access) who() Who {
	if a.Who == 0 && len(a.Users)+len(a.Groups)+len(a.Packages) == 0 {
		return CurrentUser
	}
	return a.Who
}

// onlySelf tells whether nobody but the current user is let in.
func (a Access) onlySelf() bool {
	return a.SDDL == "" && a.who()&^(CurrentUser|CurrentUserAnyElevation|LowIntegrity) == 0 &&
		len(a.Users)+len(a.Groups)+len(a.Packages) == 0
}

// check finds what no system can give.
func (a Access) check() error {
	bad := func(what string) error {
		return &problem{text: "bad ListenConfig.Access: " + what, causes: []error{fs.ErrInvalid}}
	}
	switch {
	case a.Who&^allWho != 0:
		return bad(fmt.Sprintf("Who has unknown bits %#x: use the constants", a.Who&^allWho))
	case a.SDDL != "" && (a.Who != 0 || len(a.Users)+len(a.Groups)+len(a.Packages)+len(a.Deny) > 0):
		return bad("SDDL stands alone: put the other entries into it, or leave it out")
	case len(a.Deny) > 0 && a.Remote:
		return bad("Deny can't be combined with Remote: name who is let in instead")
	}
	return nil
}
