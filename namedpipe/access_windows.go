package namedpipe

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	fileAllAccess = windows.STANDARD_RIGHTS_ALL | 0x1FF
	// clientAccess is what a client needs to read and write. GENERIC_WRITE has
	// one bit more, FILE_APPEND_DATA, which for a pipe is
	// FILE_CREATE_PIPE_INSTANCE: with it a client could add an instance of its
	// own and take other clients' connections.
	clientAccess = windows.STANDARD_RIGHTS_READ | windows.SYNCHRONIZE | 0x19B

	// The mandatory labels, each a whole SDDL of its own: who is below them may
	// neither read nor write, or for low integrity is let write.
	labelHigh = "S:(ML;;NRNW;;;HI)"
	labelLow  = "S:(ML;;NW;;;LW)"
)

// identity is what a descriptor depends on of the process that listens.
type identity struct {
	user     *windows.SID // the token's User
	owner    *windows.SID // the token's Owner: Administrators for an elevated administrator
	self     *windows.SID // who may make instances: the user, or the service's own SID
	elevated bool
}

func (a Access) describe() (string, error) {
	sd, err := a.securityDescriptor()
	if err != nil {
		return "", err
	}
	return sd.String(), nil
}

func (a Access) securityDescriptor() (*windows.SECURITY_DESCRIPTOR, error) {
	id, err := processIdentity()
	if err != nil {
		return nil, err
	}
	return a.descriptor(id)
}

// descriptor builds the pipe's security descriptor from entries. The owner is
// named outright: .NET clients with CurrentUserOnly compare it with their own
// token's Owner, and what the system would put there by itself may differ.
func (a Access) descriptor(id identity) (*windows.SECURITY_DESCRIPTOR, error) {
	if a.SDDL != "" {
		return fromSDDL(a.SDDL, id.owner)
	}
	entries, err := a.entries(id)
	if err != nil {
		return nil, err
	}
	acl, err := windows.ACLFromEntries(entries, nil)
	if err != nil {
		return nil, err
	}
	sd, err := windows.NewSecurityDescriptor()
	if err != nil {
		return nil, err
	}
	err = errors.Join(sd.SetOwner(id.owner, false), sd.SetDACL(acl, true, false),
		sd.SetControl(windows.SE_DACL_PROTECTED, windows.SE_DACL_PROTECTED))
	if err == nil {
		err = setLabel(sd, a.label(id))
	}
	if err != nil {
		return nil, err
	}
	// One block without pointers: nothing for the collector to move or free
	// while the kernel reads it.
	return sd.ToSelfRelative()
}

// entries lists the access control entries, denials first.
func (a Access) entries(id identity) ([]windows.EXPLICIT_ACCESS, error) {
	var list []windows.EXPLICIT_ACCESS
	seen := []*windows.SID{}
	add := func(sid *windows.SID, mode windows.ACCESS_MODE, rights windows.ACCESS_MASK) {
		for _, s := range seen {
			if mode != windows.DENY_ACCESS && s.Equals(sid) {
				return // the first entry for a SID is the widest
			}
		}
		if mode != windows.DENY_ACCESS {
			seen = append(seen, sid)
		}
		list = append(list, windows.EXPLICIT_ACCESS{
			AccessPermissions: rights,
			AccessMode:        mode,
			Trustee: windows.TRUSTEE{
				TrusteeForm:  windows.TRUSTEE_IS_SID,
				TrusteeType:  windows.TRUSTEE_IS_UNKNOWN,
				TrusteeValue: windows.TrusteeValueFromSID(sid),
			},
		})
	}
	for _, name := range a.Deny {
		sid, err := account(name)
		if err != nil {
			return nil, err
		}
		add(sid, windows.DENY_ACCESS, fileAllAccess)
	}
	add(id.self, windows.GRANT_ACCESS, fileAllAccess)
	who := a.who()
	if who&(CurrentUser|CurrentUserAnyElevation) != 0 {
		add(id.user, windows.GRANT_ACCESS, clientAccess)
	}
	for _, class := range []struct {
		who Who
		sid windows.WELL_KNOWN_SID_TYPE
	}{
		{Administrators, windows.WinBuiltinAdministratorsSid},
		{LocalUsers, windows.WinBuiltinUsersSid},
		{Everyone, windows.WinWorldSid},
		{AppContainers, windows.WinBuiltinAnyPackageSid},
	} {
		if who&class.who == 0 {
			continue
		}
		sid, err := windows.CreateWellKnownSid(class.sid)
		if err != nil {
			return nil, err
		}
		add(sid, windows.GRANT_ACCESS, clientAccess)
	}
	for _, name := range append(append([]string{}, a.Users...), a.Groups...) {
		sid, err := account(name)
		if err != nil {
			return nil, err
		}
		add(sid, windows.GRANT_ACCESS, clientAccess)
	}
	for _, text := range a.Packages {
		sid, err := windows.StringToSid(text)
		if err != nil || !strings.HasPrefix(strings.ToUpper(text), "S-1-15-2-") {
			return nil, &problem{text: fmt.Sprintf("bad ListenConfig.Access: %q is not the SID of an AppContainer package, which begins S-1-15-2-", text), causes: []error{fs.ErrInvalid}}
		}
		add(sid, windows.GRANT_ACCESS, clientAccess)
	}
	return list, nil
}

// label is the mandatory label, or "" for none, which counts as Medium. The
// High one keeps unelevated processes out, so it is for access that is meant
// for elevated ones only.
func (a Access) label(id identity) string {
	who := a.who()
	switch {
	case who&LowIntegrity != 0:
		return labelLow
	case id.elevated && who&CurrentUser != 0 && who&^(CurrentUser|Administrators) == 0 && len(a.Users)+len(a.Groups)+len(a.Packages) == 0:
		return labelHigh
	}
	return ""
}

func setLabel(sd *windows.SECURITY_DESCRIPTOR, label string) error {
	if label == "" {
		return nil
	}
	from, err := windows.SecurityDescriptorFromString(label)
	if err != nil {
		return err
	}
	sacl, _, err := from.SACL()
	if err != nil {
		return err
	}
	return sd.SetSACL(sacl, true, false)
}

func fromSDDL(sddl string, owner *windows.SID) (*windows.SECURITY_DESCRIPTOR, error) {
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return nil, explainAs(fs.ErrInvalid, err, fmt.Sprintf("bad ListenConfig.Access: SDDL %q can't be read", sddl), "see its format")
	}
	if dacl, _, err := sd.DACL(); err != nil || dacl == nil {
		return nil, &problem{text: fmt.Sprintf("bad ListenConfig.Access: SDDL %q has no DACL, which would let everybody in", sddl), causes: []error{fs.ErrInvalid}}
	}
	if o, _, err := sd.Owner(); err == nil && o != nil {
		return sd, nil
	}
	abs, err := sd.ToAbsolute()
	if err != nil {
		return nil, err
	}
	if err := abs.SetOwner(owner, false); err != nil {
		return nil, err
	}
	return abs.ToSelfRelative()
}

// account finds the SID of an account given by name or SID.
func account(name string) (*windows.SID, error) {
	if strings.HasPrefix(strings.ToUpper(name), "S-1-") {
		sid, err := windows.StringToSid(name)
		if err != nil {
			return nil, explainAs(fs.ErrInvalid, err, fmt.Sprintf("%q is not a SID", name), "write the account's name or its SID")
		}
		return sid, nil
	}
	sid, _, _, err := windows.LookupSID("", name)
	if err != nil {
		return nil, explainAs(fs.ErrInvalid, err, fmt.Sprintf("there is no account %q", name), "write the account's name or its SID")
	}
	return sid, nil
}

// processIdentity looks at the token that this process listens with.
func processIdentity() (identity, error) {
	token := windows.GetCurrentProcessToken()
	user, err := token.GetTokenUser()
	if err != nil {
		return identity{}, err
	}
	owner, err := tokenOwner(token)
	if err != nil {
		return identity{}, err
	}
	groups, err := token.GetTokenGroups()
	if err != nil {
		return identity{}, err
	}
	id := identity{user: user.User.Sid, owner: owner, elevated: token.IsElevated()}
	id.self = selfOf(id.user, groups.AllGroups())
	return id, nil
}

// selfOf is the identity that may make instances of the pipe: the user; but for
// LocalService and NetworkService, which many services share, the service's own
// SID where its token has one.
func selfOf(user *windows.SID, groups []windows.SIDAndAttributes) *windows.SID {
	if !user.IsWellKnown(windows.WinLocalServiceSid) && !user.IsWellKnown(windows.WinNetworkServiceSid) {
		return user
	}
	for _, g := range groups {
		if isServiceSID(g.Sid) && g.Attributes&windows.SE_GROUP_ENABLED != 0 {
			return g.Sid
		}
	}
	return user
}

// isServiceSID tells whether a SID is NT SERVICE\something: S-1-5-80-….
func isServiceSID(sid *windows.SID) bool {
	return sid.IdentifierAuthority() == windows.SECURITY_NT_AUTHORITY && sid.SubAuthorityCount() > 1 && sid.SubAuthority(0) == 80
}

// tokenOwner is who owns what the token's holder makes: the user, or for an
// elevated administrator BUILTIN\Administrators.
func tokenOwner(token windows.Token) (*windows.SID, error) {
	buf, err := tokenInfo(token, windows.TokenOwner)
	if err != nil {
		return nil, err
	}
	return (*(**windows.SID)(unsafe.Pointer(&buf[0]))).Copy() // TOKEN_OWNER is one pointer into buf
}

func tokenInfo(token windows.Token, class uint32) ([]byte, error) {
	var n uint32
	err := windows.GetTokenInformation(token, class, nil, 0, &n)
	if err != windows.ERROR_INSUFFICIENT_BUFFER {
		return nil, err
	}
	buf := make([]byte, n)
	if err := windows.GetTokenInformation(token, class, &buf[0], n, &n); err != nil {
		return nil, err
	}
	return buf, nil
}
