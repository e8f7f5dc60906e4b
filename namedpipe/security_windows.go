package namedpipe

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// currentUserDescriptor lets in the user that this process runs as and nobody
// else. The owner is the token's Owner, named outright: .NET clients with
// CurrentUserOnly compare it with their own token's Owner, and what the system
// would put there by itself may differ.
//
// The one entry grants full access, since the server needs the right to make
// its instances 2 to n.
func currentUserDescriptor() (*windows.SECURITY_DESCRIPTOR, error) {
	token := windows.GetCurrentProcessToken()
	user, err := token.GetTokenUser()
	if err != nil {
		return nil, err
	}
	owner, err := tokenOwner(token)
	if err != nil {
		return nil, err
	}
	acl, err := windows.ACLFromEntries([]windows.EXPLICIT_ACCESS{{
		AccessPermissions: windows.STANDARD_RIGHTS_ALL | 0x1FF, // FILE_ALL_ACCESS
		AccessMode:        windows.SET_ACCESS,
		Trustee: windows.TRUSTEE{
			TrusteeForm:  windows.TRUSTEE_IS_SID,
			TrusteeType:  windows.TRUSTEE_IS_USER,
			TrusteeValue: windows.TrusteeValueFromSID(user.User.Sid),
		},
	}}, nil)
	if err != nil {
		return nil, err
	}
	sd, err := windows.NewSecurityDescriptor()
	if err != nil {
		return nil, err
	}
	if err := sd.SetOwner(owner, false); err != nil {
		return nil, err
	}
	if err := sd.SetDACL(acl, true, false); err != nil {
		return nil, err
	}
	if err := sd.SetControl(windows.SE_DACL_PROTECTED, windows.SE_DACL_PROTECTED); err != nil {
		return nil, err
	}
	// One block without pointers: nothing for the collector to move or free
	// while the kernel reads it.
	return sd.ToSelfRelative()
}

// tokenOwner is who owns what the token's holder makes: the user, or for an
// elevated administrator BUILTIN\Administrators.
func tokenOwner(token windows.Token) (*windows.SID, error) {
	var n uint32
	err := windows.GetTokenInformation(token, windows.TokenOwner, nil, 0, &n)
	if err != windows.ERROR_INSUFFICIENT_BUFFER {
		return nil, err
	}
	buf := make([]byte, n)
	if err := windows.GetTokenInformation(token, windows.TokenOwner, &buf[0], n, &n); err != nil {
		return nil, err
	}
	sid := *(**windows.SID)(unsafe.Pointer(&buf[0])) // TOKEN_OWNER is one pointer into buf
	return sid.Copy()
}
