package namedpipe

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"
)

const (
	// clientAccess is what a client needs to read and write. GENERIC_WRITE has
	// one bit more, FILE_APPEND_DATA, which for a pipe is
	// FILE_CREATE_PIPE_INSTANCE: with it a client could add an instance of its
	// own and take other clients' connections.
	clientAccess = "0x12019b"
	// serverAccess is what the pipe's descriptor must grant to the process that
	// makes a second instance.
	serverAccess = windows.FILE_GENERIC_READ | windows.FILE_GENERIC_WRITE

	// The mandatory labels: who is below High may neither read nor write; who is
	// below Low may not write.
	labelHigh = "S:(ML;;NRNW;;;HI)"
	labelLow  = "S:(ML;;NW;;;LW)"

	ownerRights = "S-1-3-4"
)

func (a Access) describe() (string, error) {
	sd, err := a.securityDescriptor()
	if err != nil {
		return "", err
	}
	return sd.String(), nil
}

// securityDescriptor makes the descriptor for this process and makes sure that
// it lets this process add instances to the pipe.
func (a Access) securityDescriptor() (*windows.SECURITY_DESCRIPTOR, error) {
	id, err := processIdentity()
	if err != nil {
		return nil, err
	}
	sd, err := a.descriptor(id)
	if err != nil {
		return nil, err
	}
	granted, err := grantsSelf(sd, serverAccess)
	if err != nil {
		return nil, err
	}
	if !granted {
		text := fmt.Sprintf("%q", sd)
		if a.SDDL != "" {
			text = fmt.Sprintf("SDDL %q", a.SDDL)
		}
		return nil, &problem{
			text:   fmt.Sprintf("bad ListenConfig.Access: %s doesn't give this process full access, so it couldn't create the pipe's second instance: grant it with (A;;FA;;;%s)", text, id.self),
			causes: []error{fs.ErrInvalid},
		}
	}
	return sd, nil
}

// descriptor builds the pipe's security descriptor. The owner is named
// outright: .NET clients with CurrentUserOnly compare it with their own token's
// Owner, and what the system would put there by itself may differ.
func (a Access) descriptor(id identity) (*windows.SECURITY_DESCRIPTOR, error) {
	if a.SDDL != "" {
		return fromSDDL(a.SDDL, id.owner)
	}
	dacl, err := a.dacl(id)
	if err != nil {
		return nil, err
	}
	return windows.SecurityDescriptorFromString("O:" + id.owner.String() + "D:P" + dacl + a.label(id))
}

// dacl writes the access control entries in the order in which the system reads
// them; nothing sorts or merges them. Denials come before what they take from,
// but one that covers the server's own token comes after the server's own entry:
// before it, it would keep the server from making the second instance.
func (a Access) dacl(id identity) (string, error) {
	var deny, self, late, allow strings.Builder
	for _, name := range a.Deny {
		sid, err := account(name)
		if err != nil {
			return "", err
		}
		to := &deny
		switch {
		case sid.Equals(id.self):
			return "", &problem{text: fmt.Sprintf("bad ListenConfig.Access: Deny names %s, the identity with which this process makes the pipe's instances", name), causes: []error{fs.ErrInvalid}}
		case id.covers(sid):
			to = &late
		}
		fmt.Fprintf(to, "(D;;FA;;;%s)", sid)
	}
	if !id.owner.Equals(id.self) {
		// An owner may always change the descriptor, unless an entry says what
		// owners may.
		fmt.Fprintf(&self, "(A;;RC;;;%s)", ownerRights)
	}
	seen := map[string]bool{}
	add := func(to *strings.Builder, rights, sid string) {
		if !seen[sid] { // the first entry for a SID is the widest
			seen[sid] = true
			fmt.Fprintf(to, "(A;;%s;;;%s)", rights, sid)
		}
	}
	add(&self, "FA", id.self.String())
	if id.pkg != nil {
		add(&self, "FA", id.pkg.String())
	}
	clients, err := a.clients(id)
	if err != nil {
		return "", err
	}
	for _, sid := range clients {
		add(&allow, clientAccess, sid)
	}
	return deny.String() + self.String() + late.String() + allow.String(), nil
}

// clients lists the SIDs of who is let in.
func (a Access) clients(id identity) ([]string, error) {
	if a.alone {
		return nil, nil
	}
	var list []string
	who := a.who()
	if who&(CurrentUser|CurrentUserAnyElevation) != 0 {
		list = append(list, id.user.String())
	}
	for _, class := range []struct {
		who Who
		sid string
	}{
		{Administrators, "S-1-5-32-544"},
		{LocalUsers, "S-1-5-32-545"},
		{Everyone, "S-1-1-0"},
		{AppContainers, "S-1-15-2-1"}, // ALL APPLICATION PACKAGES
	} {
		if who&class.who != 0 {
			list = append(list, class.sid)
		}
	}
	for _, name := range slices.Concat(a.Users, a.Groups) {
		sid, err := account(name)
		if err != nil {
			return nil, err
		}
		list = append(list, sid.String())
	}
	for _, text := range a.Packages {
		sid, err := windows.StringToSid(text)
		if err != nil || !strings.HasPrefix(strings.ToUpper(text), "S-1-15-2-") {
			return nil, &problem{text: fmt.Sprintf("bad ListenConfig.Access: %q is not the SID of an AppContainer package, which begins S-1-15-2-", text), causes: []error{fs.ErrInvalid}}
		}
		list = append(list, sid.String())
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
	case id.elevated && who != 0 && who&^(CurrentUser|Administrators) == 0 && len(a.Users)+len(a.Groups)+len(a.Packages) == 0:
		return labelHigh
	}
	return ""
}

func fromSDDL(sddl string, owner *windows.SID) (*windows.SECURITY_DESCRIPTOR, error) {
	sd, err := windows.SecurityDescriptorFromString(sddl)
	if err != nil {
		return nil, explainAs(fs.ErrInvalid, err, fmt.Sprintf("bad ListenConfig.Access: SDDL %q can't be parsed", sddl), "see Access.SDDL for its language")
	}
	if dacl, _, err := sd.DACL(); err != nil || dacl == nil {
		return nil, &problem{text: fmt.Sprintf("bad ListenConfig.Access: SDDL %q has no DACL, so it would allow everyone", sddl), causes: []error{fs.ErrInvalid}}
	}
	if o, _, err := sd.Owner(); err == nil && o != nil {
		return sd, nil
	}
	return windows.SecurityDescriptorFromString("O:" + owner.String() + sddl)
}

var procAccessCheck = windows.NewLazySystemDLL("advapi32.dll").NewProc("AccessCheck")

// grantsSelf reports whether a descriptor grants this process the rights.
func grantsSelf(sd *windows.SECURITY_DESCRIPTOR, rights uint32) (bool, error) {
	abs, err := sd.ToAbsolute()
	if err != nil {
		return false, err
	}
	owner, _, err := abs.Owner()
	if err != nil {
		return false, err
	}
	if err := abs.SetGroup(owner, false); err != nil { // AccessCheck demands one and doesn't use it
		return false, err
	}
	var primary, token windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_DUPLICATE, &primary); err != nil {
		return false, err
	}
	defer primary.Close()
	if err := windows.DuplicateTokenEx(primary, windows.TOKEN_QUERY, nil, windows.SecurityIdentification, windows.TokenImpersonation, &token); err != nil {
		return false, err
	}
	defer token.Close()
	mapping := [4]uint32{windows.FILE_GENERIC_READ, windows.FILE_GENERIC_WRITE, windows.FILE_GENERIC_EXECUTE, windows.STANDARD_RIGHTS_ALL | 0x1FF}
	var used [1024]byte // the privileges that decided, a PRIVILEGE_SET
	size, granted, status := uint32(len(used)), uint32(0), uint32(0)
	ok, _, err := procAccessCheck.Call(
		uintptr(unsafe.Pointer(abs)), uintptr(token), uintptr(rights), uintptr(unsafe.Pointer(&mapping)),
		uintptr(unsafe.Pointer(&used)), uintptr(unsafe.Pointer(&size)), uintptr(unsafe.Pointer(&granted)), uintptr(unsafe.Pointer(&status)))
	if ok == 0 {
		return false, err
	}
	return status != 0 && granted&rights == rights, nil
}
