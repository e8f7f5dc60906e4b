package namedpipe

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// verify checks the server behind a fresh connection, on which nothing has been
// sent. At the level Identification the server may already see who the client
// is; it can't act as the client before the first write (see qosLevels).
func (t *Trust) verify(c conn, _ string) error {
	if t.Anyone && !t.wantsProcess() {
		return nil
	}
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var verr error
	err = rc.Control(func(fd uintptr) { verr = t.verifyPipe(windows.Handle(fd)) })
	return errors.Join(err, verr)
}

func (t *Trust) verifyPipe(pipe windows.Handle) error {
	p, owner, err := describeServer(pipe)
	if err != nil {
		return err
	}
	if !t.Anyone {
		switch {
		case owner == nil:
			return &TrustError{Server: p, Reason: "the pipe has no owner", Field: "Anyone"}
		case isSystem(owner):
			// Only a process that is elevated, or the system's, can make a pipe
			// that these own, so it needs no label.
		case p.SameUser:
			if err := checkLabel(pipe, p); err != nil {
				return err
			}
		default:
			if err := t.named(p, owner); err != nil {
				return err
			}
		}
	}
	return t.process(p)
}

// serverOf describes the server of a client's end.
func serverOf(pipe windows.Handle) (*Peer, error) {
	p, _, err := describeServer(pipe)
	return p, err
}

// describeServer tells who owns the pipe, which its descriptor proves, or nil,
// and which process made its first instance, which is a hint.
func describeServer(pipe windows.Handle) (*Peer, *windows.SID, error) {
	sd, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return nil, nil, explain(err, "the system doesn't tell who owns the pipe", "")
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return nil, nil, explain(err, "the system doesn't tell who owns the pipe", "")
	}
	p := &Peer{}
	if owner != nil { // a pipe may be made without one
		p.User, p.UserProven = accountOf(owner), true
	}
	var pid uint32
	if err := windows.GetNamedPipeServerProcessId(pipe, &pid); err == nil {
		p.PID = int(pid)
		p.Executable = executableOf(p.PID)
		p.birth, _ = birthOf(p.PID)
	}
	if own, err := tokenOwner(windows.GetCurrentProcessToken()); err == nil && owner != nil {
		p.SameUser = own.Equals(owner)
	}
	return p, owner, nil
}

// whoListens describes the server of a pipe, or returns nil.
func whoListens(path string) *Peer {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil
	}
	pipe, err := windows.CreateFile(name, windows.READ_CONTROL|windows.FILE_READ_ATTRIBUTES, 0, nil, windows.OPEN_EXISTING,
		windows.SECURITY_SQOS_PRESENT|windows.SECURITY_ANONYMOUS, 0)
	if err != nil {
		return nil
	}
	defer windows.CloseHandle(pipe)
	p, _, err := describeServer(pipe)
	if err != nil {
		return nil
	}
	return p
}

// named accepts an owner that the caller has named.
func (t *Trust) named(p *Peer, owner *windows.SID) error {
	for _, list := range [][]string{t.Users, t.Groups} {
		for _, name := range list {
			sid, err := account(name)
			if err != nil {
				return err
			}
			if sid.Equals(owner) {
				return nil
			}
		}
	}
	return &TrustError{Server: p, Reason: "the pipe's owner is neither this user, nor the system, nor Administrators", Field: "Users"}
}

func isSystem(owner *windows.SID) bool {
	return owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid)
}

// checkLabel refuses a pipe made by a process of lower integrity than this one:
// a sandboxed program of the same user must not play the server. A pipe without
// a label counts as Medium.
func checkLabel(pipe windows.Handle, p *Peer) error {
	token := windows.GetCurrentProcessToken()
	own, ok := integrityRID(token)
	if !ok {
		return nil
	}
	// High is demanded by whom Access gives that label as a server. More would
	// refuse a service's own pipes, and a program with uiAccess, which is High
	// without being elevated, would refuse its user's.
	if token.IsElevated() {
		own = min(own, integrityHigh)
	} else {
		own = min(own, integrityMedium)
	}
	theirs := uint32(integrityMedium)
	sd, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, windows.LABEL_SECURITY_INFORMATION)
	if err != nil {
		return explain(err, "the system doesn't tell the pipe's integrity label", "")
	}
	if rid, ok := labelOf(sd); ok {
		theirs = rid
	}
	if theirs < own {
		return &TrustError{Server: p, Field: "Anyone",
			Reason: fmt.Sprintf("the pipe's integrity is %s and this process's is %s: run both at the same integrity", integrityName(theirs), integrityName(own))}
	}
	return nil
}

// labelOf is the number of the mandatory label in a descriptor's SACL.
func labelOf(sd *windows.SECURITY_DESCRIPTOR) (uint32, bool) {
	sacl, _, err := sd.SACL()
	if err != nil || sacl == nil {
		return 0, false
	}
	for i := range uint32(sacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE // a label has the same layout
		if windows.GetAce(sacl, i, &ace) != nil || ace.Header.AceType != systemMandatoryLabelACE {
			continue
		}
		sid := (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		return sid.SubAuthority(uint32(sid.SubAuthorityCount()) - 1), true
	}
	return 0, false
}

const systemMandatoryLabelACE = 0x11
