package namedpipe

import (
	"fmt"
	"io/fs"
)

// Who is a set of clients for [Access].Who; combine values with |. The server
// itself is always allowed: its own user and, on Windows if it is elevated, every
// elevated administrator, since only that distinguishes it from its user's
// unelevated processes.
type Who uint

const (
	// CurrentUser is the user that this process runs as. On Windows that is the
	// token's User. If the process is elevated, a High integrity label keeps the
	// same user's unelevated processes out, provided that everyone else who is
	// allowed is named by CurrentUser or Administrators. All other processes of
	// the user are allowed, except that those of low integrity can only read:
	// [Conn.Peer] identifies none of them.
	CurrentUser Who = 1 << iota
	// CurrentUserAnyElevation is CurrentUser without the label: an elevated
	// server also allows the same user's unelevated processes. Off Windows it is
	// CurrentUser.
	CurrentUserAnyElevation
	// Administrators are the elevated members of BUILTIN\Administrators;
	// elsewhere root. An elevated server that allows nobody else, or only
	// CurrentUser besides, labels its pipe High.
	Administrators
	// LocalUsers are the members of BUILTIN\Users; elsewhere every user who can
	// reach the socket's folder.
	LocalUsers
	// Everyone is every account of this machine, including guests and services.
	Everyone
	// AppContainers are all AppContainer packages (Windows only). Their users
	// must be allowed as well. It adds an entry to the pipe's descriptor and no
	// more: Windows decides which pipes a package can open, and Microsoft
	// documents only those made by another process of the same package with
	// names of the form LOCAL\NAME. The name LOCAL\NAME of a package with the SID
	// S in session N is Sessions\N\AppContainerNamedObjects\S\NAME to all other
	// processes; GetAppContainerNamedObjectPath returns it.
	AppContainers
	// LowIntegrity allows processes of low integrity (Windows only), such as a
	// browser's sandbox, of the users that are allowed. Unless the server is
	// elevated, such processes of its own user can also add instances to the
	// pipe and act as the server, which clients at medium integrity must accept
	// with Trust.LowIntegrity.
	LowIntegrity

	allWho = LowIntegrity<<1 - 1
)

// Access specifies who may connect to a listener. The zero value allows
// CurrentUser only. A setting that the system does not support makes Listen
// return an error that matches errors.ErrUnsupported; it never loosens the rule.
//
// On Windows it becomes the pipe's security descriptor. The server's own
// identity has full access and everyone else may read and write only (0x12019B),
// so that no client can add an instance of its own to the pipe. That identity is
// the user; for an elevated server, Administrators; and for a service with a SID
// of its own (sc sidtype), that SID, if the service runs as LocalService or
// NetworkService, where it owns the pipe as well, or if the SID is restricted.
//
// Elsewhere the socket's mode and group are the first check, and Accept checks
// the client's credentials, as reported by the kernel, against the rule. A
// client that is refused is disconnected before a byte is read.
type Access struct {
	// Who is the set of allowed clients. 0 means CurrentUser, unless Users,
	// Groups, Packages or SDDL is set.
	Who Who

	// Users and Groups are allowed too: by account name or SID on Windows, by
	// name or number elsewhere.
	Users, Groups []string

	// Packages are the SIDs (S-1-15-2-…) of AppContainer packages that are
	// allowed to connect as the allowed users (Windows only).
	Packages []string

	// Deny lists users and groups that are refused whatever the other fields
	// say. The server itself is not refused as a member of such a group, and
	// must not be named. A name that is in nobody's token, such as a domain's or
	// a computer's, is an error.
	Deny []string

	// SDDL is a whole security descriptor in the language of
	// https://learn.microsoft.com/windows/win32/secauthz/security-descriptor-string-format
	// (Windows only). No other field may be set with it but Remote and Check. It
	// must give this process full access, since all instances after the first
	// are made under it.
	SDDL string

	// Remote allows clients on other machines, over SMB (Windows only). It can't
	// be combined with Deny: a remote client's token alone does not say who the
	// client is.
	Remote bool

	// Check, if not nil, is called for each client that the other fields allow,
	// before Accept returns its connection. It gets what is known before the
	// client has sent a byte: off Windows all of Peer, on Windows only the
	// process (PID, Executable, IsProcess). If it returns an error, the client is
	// disconnected and the error is logged. It must not block.
	Check func(*Peer) error

	// alone lets in the server's own identity and no client besides, for what
	// servers of one name say to each other. It matters on Windows, where other
	// services of a shared account are its user too.
	alone bool
}

// Describe returns what the access means on this system for a server that runs
// as this process does: the security descriptor in SDDL on Windows, the socket's
// mode and the allowed ids elsewhere. The error is the one that Listen would
// return.
func (a Access) Describe() (string, error) {
	if err := a.check(); err != nil {
		return "", err
	}
	return a.describe()
}

// who returns Who, or its default.
func (a Access) who() Who {
	if a.Who == 0 && len(a.Users)+len(a.Groups)+len(a.Packages) == 0 {
		return CurrentUser
	}
	return a.Who
}

// onlySelf reports whether only the current user is allowed.
func (a Access) onlySelf() bool {
	return a.SDDL == "" && a.who()&^(CurrentUser|CurrentUserAnyElevation|LowIntegrity) == 0 &&
		len(a.Users)+len(a.Groups)+len(a.Packages) == 0
}

// check returns an error for what no system supports.
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
		return bad("Deny can't be combined with Remote: name who is allowed instead")
	}
	return nil
}
