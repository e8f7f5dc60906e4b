package namedpipe

import (
	"fmt"
	"io/fs"
)

// Who is a set of clients for Access.Who; combine them with |. The server itself
// always gets in: its own user and, on Windows if it is elevated, whoever is an
// elevated administrator, since that is all that sets it apart from its user's
// unelevated processes.
type Who uint

const (
	// CurrentUser is the user that this process runs as. On Windows that is the
	// token's User, and if the process is elevated a High integrity label keeps
	// the same user's unelevated processes out, as long as everybody else who
	// is let in is named by CurrentUser or Administrators. The user's other
	// processes get in whatever they are, except for those of low integrity.
	CurrentUser Who = 1 << iota
	// CurrentUserAnyElevation is CurrentUser without the label: an elevated
	// server lets the same user's unelevated processes in. Off Windows it is
	// CurrentUser.
	CurrentUserAnyElevation
	// Administrators are the elevated members of BUILTIN\Administrators;
	// elsewhere root. An elevated server that lets in nobody else, or
	// CurrentUser besides, labels its pipe High.
	Administrators
	// LocalUsers are the members of BUILTIN\Users; elsewhere everybody who can
	// reach the socket's folder.
	LocalUsers
	// Everyone is every account of this machine, guests and services too.
	Everyone
	// AppContainers are all AppContainer packages (Windows only). Their users
	// must be let in as well. It is an entry of the pipe's descriptor and no
	// more: which pipes a package can open is for Windows to say, and Microsoft
	// documents only those that another process of the same package has made,
	// by names of the form LOCAL\NAME. What LOCAL\NAME is to session N's
	// processes of the package with the SID S is to all others
	// Sessions\N\AppContainerNamedObjects\S\NAME, as
	// GetAppContainerNamedObjectPath says.
	AppContainers
	// LowIntegrity lets in processes of low integrity (Windows only), such as a
	// browser's sandbox, of the users that are let in. Unless the server is
	// elevated, such processes of its own user can also add instances to the
	// pipe and play the server, so clients at medium integrity must accept that
	// by Trust.LowIntegrity.
	LowIntegrity

	allWho = LowIntegrity<<1 - 1
)

// Access says who may connect to a listener. The zero value is CurrentUser
// alone. What is asked for and can't be given on a system is an error from
// Listen that matches errors.ErrUnsupported, never a looser rule.
//
// On Windows it becomes the pipe's security descriptor: the server's own
// identity has full access, everybody else the right to read and write only
// (0x12019B), so that no client can add an instance of its own to the pipe. That
// identity is the user; for an elevated server Administrators; for a service
// with a SID of its own (sc sidtype) that SID, if the service runs as
// LocalService or NetworkService, where it owns the pipe as well, or if the SID
// is restricted.
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

	// Deny are users and groups kept out whatever the rest says, except for the
	// server itself, as which it must not be named outright. A name that
	// nobody's token has, such as a domain's or a computer's, is an error.
	Deny []string

	// SDDL is a whole security descriptor in the words of
	// https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format
	// (Windows only). It stands alone: nothing else may be set but Remote. It
	// must give this process full access, since all instances after the first
	// are made under it.
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
