package namedpipe

import (
	"context"
	"errors"
	"unsafe"

	"golang.org/x/sys/windows"
)

var (
	procGetNamedPipeClientComputerName = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetNamedPipeClientComputerNameW")
	procImpersonateNamedPipeClient     = windows.NewLazySystemDLL("advapi32.dll").NewProc("ImpersonateNamedPipeClient")
)

func (c *Conn) identify() (*Peer, error) {
	var s server
	err := c.onHandle(func(pipe windows.Handle) (err error) {
		if c.client {
			s, err = serverOf(pipe)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if c.client {
		s.name(context.Background())
		return s.peer, nil
	}
	// A client that was opened without SECURITY_SQOS_PRESENT has no token to
	// show before something of it has been read.
	if err := c.peeked.fill(c, peekTimeout); err != nil {
		return nil, err
	}
	p := &Peer{}
	var user *windows.SID
	err = c.onHandle(func(pipe windows.Handle) error {
		p.Remote = isRemote(pipe)
		var pid uint32
		if err := windows.GetNamedPipeClientProcessId(pipe, &pid); err == nil && !p.Remote {
			p.PID = int(pid) // of another machine's process it would be the number of some process here
		}
		token, err := openClientToken(pipe, func(token windows.Token) (err error) {
			user, err = p.fromToken(token)
			return err
		})
		if errors.Is(err, windows.ERROR_CANT_OPEN_ANONYMOUS) {
			p.Level, p.SameUser = Anonymous, c.onlySelf && !p.Remote
			return nil
		}
		if err != nil {
			return explain(err, "the system doesn't report who the client is", "")
		}
		c.token.set(c, token)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if user != nil {
		p.User = accountOf(context.Background(), user)
	}
	if !p.Remote {
		p.Executable = executableOf(p.PID)
		p.birth, _ = birthOf(p.PID)
	}
	return p, nil
}

func (c *Conn) onHandle(f func(windows.Handle) error) error {
	rc, err := c.conn.SyscallConn()
	if err != nil {
		return bare(err)
	}
	var ferr error
	if err := rc.Control(func(fd uintptr) { ferr = f(windows.Handle(fd)) }); err != nil {
		return bare(err)
	}
	return ferr
}

// isRemote reports whether the client is on another machine. Wine has no such
// call, and no such client.
func isRemote(pipe windows.Handle) bool {
	if procGetNamedPipeClientComputerName.Find() != nil {
		return false
	}
	var name [256]uint16
	ok, _, err := procGetNamedPipeClientComputerName.Call(uintptr(pipe), uintptr(unsafe.Pointer(&name[0])), unsafe.Sizeof(name))
	return !isLocal(ok != 0, err)
}

// isLocal judges the answer to the question for a client's computer: local is
// only what the system calls so. A name that is too long, for one, is an error
// too.
func isLocal(answered bool, err error) bool {
	return !answered && err == windows.ERROR_PIPE_LOCAL
}

// fromToken notes what the client's token says, except for the name of its user,
// which it returns: the thread acts as the client here, who may not be let look
// for names.
func (p *Peer) fromToken(token windows.Token) (*windows.SID, error) {
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	groups, err := token.GetTokenGroups()
	if err != nil {
		return nil, err
	}
	for _, g := range groups.AllGroups() {
		if g.Attributes&windows.SE_GROUP_ENABLED != 0 && g.Attributes&windows.SE_GROUP_USE_FOR_DENY_ONLY == 0 {
			p.Groups = append(p.Groups, g.Sid.String())
		}
	}
	level, err := tokenInfo32(token, windows.TokenImpersonationLevel)
	if err != nil {
		return nil, err
	}
	p.Level = levelOf(level)
	session, err := tokenInfo32(token, windows.TokenSessionId)
	if err != nil {
		return nil, err
	}
	p.Session = int(session)
	pkg, err := packageOf(token)
	if err != nil {
		return nil, err
	}
	if pkg != nil {
		p.Package = pkg.String()
	}
	p.Elevated = token.IsElevated()
	p.Administrator = isAdministrator(token, groups)
	p.Integrity = integrityOf(token)
	p.UserProven = true
	if own, err := windows.GetCurrentProcessToken().GetTokenUser(); err == nil {
		p.SameUser = own.User.Sid.Equals(user.User.Sid)
	}
	return user.User.Sid, nil
}

// isAdministrator reports whether the user is an administrator now, or could be
// after a prompt: then UAC has linked a full token to this one.
func isAdministrator(token windows.Token, groups *windows.Tokengroups) bool {
	if hasAdmins(groups.AllGroups()) {
		return true
	}
	linked, err := token.GetLinkedToken()
	if err != nil {
		return false
	}
	defer linked.Close()
	groups, err = linked.GetTokenGroups()
	return err == nil && hasAdmins(groups.AllGroups())
}

func integrityOf(token windows.Token) string {
	rid, err := integrityRID(token)
	if err != nil {
		return ""
	}
	return integrityName(rid)
}

// integrityRID is the last number of the token's S-1-16-… label.
func integrityRID(token windows.Token) (uint32, error) {
	buf, err := tokenInfo(token, windows.TokenIntegrityLevel)
	if err != nil {
		return 0, err
	}
	return lastNumber((*windows.Tokenmandatorylabel)(unsafe.Pointer(&buf[0])).Label.Sid)
}

// lastNumber is the last number of a SID, which for a label is the level.
func lastNumber(sid *windows.SID) (uint32, error) {
	if sid == nil || sid.SubAuthorityCount() == 0 {
		return 0, errors.New("the label is empty")
	}
	return sid.SubAuthority(uint32(sid.SubAuthorityCount()) - 1), nil
}

// The levels of https://learn.microsoft.com/windows/win32/secauthz/mandatory-integrity-control.
const (
	integrityLow    = 0x1000
	integrityMedium = 0x2000
	integrityHigh   = 0x3000
	integritySystem = 0x4000
)

func integrityName(rid uint32) string {
	switch {
	case rid >= integritySystem:
		return "system"
	case rid >= integrityHigh:
		return "high"
	case rid >= integrityMedium:
		return "medium"
	case rid >= integrityLow:
		return "low"
	}
	return "untrusted"
}

// Members of TOKEN_INFORMATION_CLASS that x/sys lacks.
const (
	tokenIsAppContainer  = 29
	tokenAppContainerSid = 31
)

// packageOf returns the SID of the token's AppContainer package, nil if it has
// none.
func packageOf(token windows.Token) (*windows.SID, error) {
	in, err := tokenInfo32(token, tokenIsAppContainer)
	if err != nil || in == 0 {
		return nil, err
	}
	buf, err := tokenInfo(token, tokenAppContainerSid)
	if err != nil {
		return nil, err
	}
	sid := *(**windows.SID)(unsafe.Pointer(&buf[0])) // TOKEN_APPCONTAINER_INFORMATION is one pointer into buf
	if sid == nil {
		return nil, errors.New("the token is an AppContainer's without a package")
	}
	return sid.Copy()
}

func levelOf(level uint32) ImpersonationLevel {
	switch level {
	case windows.SecurityAnonymous:
		return Anonymous
	case windows.SecurityImpersonation:
		return Impersonation
	case windows.SecurityDelegation:
		return Delegation
	}
	return Identification
}

func tokenInfo32(token windows.Token, class uint32) (value uint32, err error) {
	n := uint32(unsafe.Sizeof(value))
	err = windows.GetTokenInformation(token, class, (*byte)(unsafe.Pointer(&value)), n, &n)
	return value, err
}
