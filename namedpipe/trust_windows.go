package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"unsafe"

	"golang.org/x/sys/windows"
)

// verify checks the server behind a fresh connection, on which nothing has been
// sent. At the level Identification the server may already see who the client
// is; it can't act as the client before the first write (see qosLevels).
func (t *Trust) verify(ctx context.Context, c conn, _ string) error {
	if t.Anyone && !t.wantsProcess() {
		return nil
	}
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var s server
	var serr error
	err = rc.Control(func(fd uintptr) { s, serr = serverOf(windows.Handle(fd)) })
	if err := errors.Join(err, serr); err != nil {
		return err
	}
	// SIDs decide. A name is looked up, within the context, only for a refusal
	// and for the caller's function.
	if !t.Anyone {
		err = t.owner(ctx, s)
	}
	if err != nil || t.Check != nil {
		s.name(ctx)
	}
	if err != nil {
		return err
	}
	return t.process(s.peer)
}

// owner accepts or refuses the server by the owner of its pipe.
func (t *Trust) owner(ctx context.Context, s server) error {
	switch {
	case s.owner == nil:
		return &TrustError{Server: s.peer, Reason: "the pipe has no owner", Field: "Anyone"}
	case isSystem(s.owner):
		// Only a process that is elevated, or the system's, can make a pipe
		// that these own, so it needs no label.
		return nil
	case s.peer.SameUser:
		return t.checkLabel(s)
	}
	for _, name := range slices.Concat(t.Users, t.Groups) {
		if is, err := isAccount(ctx, name, s.owner); is || err != nil {
			return err
		}
	}
	return &TrustError{Server: s.peer, Reason: "the pipe's owner is neither this user, nor the system, nor Administrators", Field: "Users"}
}

// A server is what a pipe says about who made it.
type server struct {
	peer  *Peer
	owner *windows.SID // which the pipe's descriptor proves; nil if it was made without one
	label uint32       // of the pipe
}

// name looks for the owner's name.
func (s *server) name(ctx context.Context) {
	if s.owner != nil {
		s.peer.User = accountOf(ctx, s.owner)
	}
}

// serverOf describes a pipe's server without looking for names. The process,
// which is the one that made the first instance, is a hint.
func serverOf(pipe windows.Handle) (s server, err error) {
	sd, err := windows.GetSecurityInfo(pipe, windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.LABEL_SECURITY_INFORMATION)
	if err != nil {
		return s, explain(err, "the system doesn't report who owns the pipe", "")
	}
	if s.owner, _, err = sd.Owner(); err != nil {
		return s, explain(err, "the system doesn't report who owns the pipe", "")
	}
	if s.label, err = labelOf(sd); err != nil {
		return s, explain(err, "the system doesn't report the pipe's integrity label", "")
	}
	s.peer = &Peer{}
	if s.owner != nil {
		s.peer.User, s.peer.UserProven = Account{ID: s.owner.String()}, true
		if s.peer.SameUser, err = isOwn(s.owner); err != nil {
			return s, explain(err, "the system doesn't report who this process is", "")
		}
	}
	var pid uint32
	if err := windows.GetNamedPipeServerProcessId(pipe, &pid); err == nil {
		s.peer.PID = int(pid)
		s.peer.Executable = executableOf(s.peer.PID)
		s.peer.birth, _ = birthOf(s.peer.PID)
	}
	return s, nil
}

// isOwn reports whether an owner is who this process's own pipes and objects
// belong to.
func isOwn(owner *windows.SID) (bool, error) {
	own, err := tokenOwner(windows.GetCurrentProcessToken())
	if err != nil || own.Equals(owner) || !isServiceSID(owner) {
		return err == nil && own.Equals(owner), err
	}
	id, err := processIdentity() // a service in an account that others share
	return err == nil && id.owner.Equals(owner), err
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
	s, err := serverOf(pipe)
	if err != nil {
		return nil
	}
	s.name(context.Background())
	return s.peer
}

func isSystem(owner *windows.SID) bool {
	return owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid)
}

// checkLabel refuses a pipe made by a process of lower integrity than this one:
// a sandboxed program of the same user must not act as the server.
func (t *Trust) checkLabel(s server) error {
	if t.LowIntegrity {
		return nil
	}
	token := windows.GetCurrentProcessToken()
	own, err := integrityRID(token)
	if err != nil {
		return explain(err, "the system doesn't report this process's integrity", "")
	}
	// High is demanded by whom Access gives that label as a server. More would
	// refuse a service's own pipes, and a program with uiAccess, which is High
	// without being elevated, would refuse its user's.
	if token.IsElevated() {
		own = min(own, integrityHigh)
	} else {
		own = min(own, integrityMedium)
	}
	if s.label < own {
		return &TrustError{Server: s.peer, Field: "LowIntegrity",
			Reason: fmt.Sprintf("the pipe's integrity is %s and this process's is %s", integrityName(s.label), integrityName(own))}
	}
	return nil
}

// labelOf is the number of the mandatory label in a descriptor's SACL. A pipe
// without a label counts as Medium.
func labelOf(sd *windows.SECURITY_DESCRIPTOR) (uint32, error) {
	sacl, _, err := sd.SACL()
	if err == windows.ERROR_OBJECT_NOT_FOUND || err == nil && sacl == nil {
		return integrityMedium, nil
	}
	if err != nil {
		return 0, err
	}
	for i := range uint32(sacl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE // a label has the same layout
		if err := windows.GetAce(sacl, i, &ace); err != nil {
			return 0, err
		}
		if ace.Header.AceType == systemMandatoryLabelACE && ace.Header.AceFlags&windows.INHERIT_ONLY_ACE == 0 {
			return lastNumber((*windows.SID)(unsafe.Pointer(&ace.SidStart)))
		}
	}
	return integrityMedium, nil
}

const systemMandatoryLabelACE = 0x11
