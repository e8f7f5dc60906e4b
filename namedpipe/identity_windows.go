package namedpipe

import (
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// tokenFacts is what a token says that matters to the pipes that its holder
// makes.
type tokenFacts struct {
	user         *windows.SID
	defaultOwner *windows.SID // the token's Owner: Administrators for an elevated administrator and for LocalSystem
	pkg          *windows.SID // the AppContainer package, or nil
	groups       []windows.SIDAndAttributes
	restricted   []windows.SIDAndAttributes // the restricting SIDs, which must be granted a write as well
	elevated     bool
}

// identity is what a descriptor depends on of the process that listens.
type identity struct {
	tokenFacts
	owner *windows.SID // who owns the pipe
	self  *windows.SID // who has full access to it, and so may make instances
}

// identity says who the holder of the token is as a server. It is who nobody
// else is, as far as the token has something of the kind:
//   - the service's own SID where many services share the account, and where
//     the token is restricted to what that SID is granted;
//   - Administrators for an elevated user, whose unelevated processes have the
//     same user but not that group;
//   - the user.
func (f tokenFacts) identity() identity {
	id := identity{tokenFacts: f, owner: f.defaultOwner, self: f.user}
	shared := f.user.IsWellKnown(windows.WinLocalServiceSid) || f.user.IsWellKnown(windows.WinNetworkServiceSid)
	service := slices.IndexFunc(f.groups, func(g windows.SIDAndAttributes) bool {
		return isServiceSID(g.Sid) && g.Attributes&windows.SE_GROUP_ENABLED != 0
	})
	switch {
	case service >= 0 && (shared || contains(f.restricted, f.groups[service].Sid)):
		id.self = f.groups[service].Sid
		// An owner may change the descriptor, so it must not be the shared
		// account. https://learn.microsoft.com/windows/win32/api/winsvc/ns-winsvc-service_sid_info:
		// a service's SID may own.
		if shared && f.groups[service].Attributes&windows.SE_GROUP_OWNER != 0 {
			id.owner = id.self
		}
	case f.elevated && hasAdmins(f.groups) && !f.user.IsWellKnown(windows.WinLocalSystemSid):
		id.self, _ = windows.CreateWellKnownSid(windows.WinBuiltinAdministratorsSid)
	}
	return id
}

// hasAdmins reports whether the groups make a token's holder an administrator.
// In the token of an administrator's unelevated process the group only counts
// for denials.
func hasAdmins(groups []windows.SIDAndAttributes) bool {
	return slices.ContainsFunc(groups, func(g windows.SIDAndAttributes) bool {
		return g.Sid.IsWellKnown(windows.WinBuiltinAdministratorsSid) && g.Attributes&windows.SE_GROUP_ENABLED != 0
	})
}

// covers reports whether an entry for the SID applies to the token.
func (f tokenFacts) covers(sid *windows.SID) bool {
	return sid.Equals(f.user) || f.pkg != nil && sid.Equals(f.pkg) || contains(f.groups, sid) || contains(f.restricted, sid)
}

func contains(groups []windows.SIDAndAttributes, sid *windows.SID) bool {
	return slices.ContainsFunc(groups, func(g windows.SIDAndAttributes) bool { return g.Sid.Equals(sid) })
}

// isServiceSID reports whether a SID is one service's, NT SERVICE\NAME:
// S-1-5-80 and the five numbers of a hash. S-1-5-80-0 is all services.
func isServiceSID(sid *windows.SID) bool {
	return sid.IdentifierAuthority() == windows.SECURITY_NT_AUTHORITY && sid.SubAuthorityCount() == 6 && sid.SubAuthority(0) == 80
}

// processIdentity is who this process is as a server.
func processIdentity() (identity, error) {
	f, err := factsOf(windows.GetCurrentProcessToken())
	if err != nil {
		return identity{}, err
	}
	return f.identity(), nil
}

func factsOf(token windows.Token) (f tokenFacts, err error) {
	user, err := token.GetTokenUser()
	if err != nil {
		return f, err
	}
	groups, err := token.GetTokenGroups()
	if err != nil {
		return f, err
	}
	f.user, f.groups, f.elevated = user.User.Sid, groups.AllGroups(), token.IsElevated()
	if f.defaultOwner, err = tokenOwner(token); err != nil {
		return f, err
	}
	if f.pkg, err = packageOf(token); err != nil {
		return f, err
	}
	restricted, err := tokenInfo(token, windows.TokenRestrictedSids)
	switch {
	case err == windows.ERROR_INVALID_FUNCTION: // Wine's: it has no restricted tokens
		return f, nil
	case err == nil:
		f.restricted = (*windows.Tokengroups)(unsafe.Pointer(&restricted[0])).AllGroups()
	}
	return f, err
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
	if err == nil {
		return nil, windows.ERROR_NO_DATA // callers read what must be there
	}
	if err != windows.ERROR_INSUFFICIENT_BUFFER {
		return nil, err
	}
	buf := make([]byte, n)
	if err := windows.GetTokenInformation(token, class, &buf[0], n, &n); err != nil {
		return nil, err
	}
	return buf, nil
}
