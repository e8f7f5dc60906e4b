package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// needEnforcement skips where no descriptor is held against who connects.
func needEnforcement(t *testing.T) {
	t.Helper()
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		t.Skip("Wine 10 enforces no descriptor when a client connects")
	}
}

// TestRefusedTokens connects, on Windows itself, with tokens that have less than
// this process's: the system must let in just whom the access names.
func TestRefusedTokens(t *testing.T) {
	needEnforcement(t)
	const luaToken = 0x4
	id, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	low := restrict(t, 0, nil)
	setIntegrity(t, low, windows.WinLowLabelSid)
	unelevated := restrict(t, luaToken, nil)
	setIntegrity(t, unelevated, windows.WinMediumLabelSid)
	another := restrict(t, 0, id.user) // the user's SID only counts for denials

	for _, test := range []struct {
		what   string
		token  windows.Token
		access Access
		want   bool
	}{
		{"low integrity", low, Access{}, false},
		{"low integrity", low, Access{Who: CurrentUser | LowIntegrity}, true},
		{"unelevated", unelevated, Access{}, !id.elevated},
		{"unelevated", unelevated, Access{Who: CurrentUserAnyElevation}, true},
		{"unelevated", unelevated, Access{Who: Administrators}, !id.elevated || id.self.Equals(id.user)},
		{"another user", another, Access{}, false},
		{"another user", another, Access{Who: CurrentUserAnyElevation}, false},
		{"another user", another, Access{Who: Everyone}, true},
		{"another user", another, Access{Who: Everyone, Deny: []string{"S-1-1-0"}}, false},
	} {
		t.Run(fmt.Sprintf("%s, %+v", test.what, test.access), func(t *testing.T) { dialAs(t, test.token, test.access, test.want) })
	}
}

// TestAppContainer connects with the token of an AppContainer package.
func TestAppContainer(t *testing.T) {
	needEnforcement(t)
	token := lowBox(t, sidPackage)
	for _, test := range []struct {
		access Access
		want   bool
	}{
		{Access{}, false},
		{Access{Who: CurrentUserAnyElevation | AppContainers}, true},
		{Access{Who: CurrentUserAnyElevation, Packages: []string{sidPackage}}, true},
		{Access{Who: CurrentUserAnyElevation, Packages: []string{"S-1-15-2-7-6-5-4-3-2-1"}}, false},
	} {
		t.Run(fmt.Sprintf("%+v", test.access), func(t *testing.T) { dialAs(t, token, test.access, test.want) })
	}
}

// dialAs dials a pipe on a thread that has the token.
func dialAs(t *testing.T, token windows.Token, access Access, want bool) {
	t.Helper()
	l, err := (&ListenConfig{Access: access}).Listen(t.Context(), fmt.Sprintf("np-%x", time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := windows.SetThreadToken(nil, token); err != nil {
		t.Fatal(err)
	}
	c, err := (&Dialer{Server: Trust{Anyone: true}}).Dial(context.Background(), l.Addr().String())
	restore(0)
	if err == nil {
		c.Close()
	}
	if (err == nil) != want || err != nil && !errors.Is(err, fs.ErrPermission) {
		t.Errorf("%v; want admitted: %v", err, want)
	}
}

// restrict makes an impersonation token with less rights than the process's.
func restrict(t *testing.T, flags uint32, disabled *windows.SID) windows.Token {
	t.Helper()
	primary := openProcessToken(t)
	var disable [1]windows.SIDAndAttributes
	count := uintptr(0)
	if disabled != nil {
		disable[0].Sid, count = disabled, 1
	}
	var restricted windows.Token
	ok, _, err := windows.NewLazySystemDLL("advapi32.dll").NewProc("CreateRestrictedToken").Call(
		uintptr(primary), uintptr(flags), count, uintptr(unsafe.Pointer(&disable[0])), 0, 0, 0, 0, uintptr(unsafe.Pointer(&restricted)))
	if ok == 0 {
		t.Fatal(err)
	}
	return toImpersonate(t, restricted)
}

func openProcessToken(t *testing.T) windows.Token {
	t.Helper()
	var primary windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_ALL_ACCESS, &primary); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { primary.Close() })
	return primary
}

func toImpersonate(t *testing.T, primary windows.Token) windows.Token {
	t.Helper()
	defer primary.Close()
	var token windows.Token
	if err := windows.DuplicateTokenEx(primary, windows.TOKEN_ALL_ACCESS, nil, windows.SecurityImpersonation, windows.TokenImpersonation, &token); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { token.Close() })
	return token
}

func setIntegrity(t *testing.T, token windows.Token, level windows.WELL_KNOWN_SID_TYPE) {
	t.Helper()
	sid, err := windows.CreateWellKnownSid(level)
	if err != nil {
		t.Fatal(err)
	}
	label := windows.Tokenmandatorylabel{Label: windows.SIDAndAttributes{Sid: sid, Attributes: windows.SE_GROUP_INTEGRITY}}
	if err := windows.SetTokenInformation(token, windows.TokenIntegrityLevel, (*byte)(unsafe.Pointer(&label)), label.Size()); err != nil {
		t.Fatal(err)
	}
}

// lowBox makes the token that a process of an AppContainer package has.
func lowBox(t *testing.T, pkg string) windows.Token {
	t.Helper()
	sid, err := windows.StringToSid(pkg)
	if err != nil {
		t.Fatal(err)
	}
	oa := windows.OBJECT_ATTRIBUTES{Length: uint32(unsafe.Sizeof(windows.OBJECT_ATTRIBUTES{}))}
	var token windows.Token
	status, _, _ := windows.NewLazySystemDLL("ntdll.dll").NewProc("NtCreateLowBoxToken").Call(
		uintptr(unsafe.Pointer(&token)), uintptr(openProcessToken(t)), windows.TOKEN_ALL_ACCESS, uintptr(unsafe.Pointer(&oa)),
		uintptr(unsafe.Pointer(sid)), 0, 0, 0, 0)
	if status != 0 {
		t.Fatal(windows.NTStatus(status))
	}
	return toImpersonate(t, token)
}
