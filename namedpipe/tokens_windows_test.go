package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
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
	another := restrict(t, luaToken, id.user) // the user's SID only counts for denials
	setIntegrity(t, another, windows.WinMediumLabelSid)
	admin := restrict(t, 0, id.user)

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
		{"unelevated", unelevated, Access{Who: Administrators}, !id.elevated},
		{"unelevated", unelevated, Access{Who: LocalUsers}, true},
		{"another user", another, Access{}, false},
		{"another user", another, Access{Who: CurrentUserAnyElevation}, false},
		{"another user", another, Access{Who: Administrators}, false},
		{"another user", another, Access{Who: Everyone}, true},
		{"another user", another, Access{Who: Everyone, Deny: []string{"S-1-1-0"}}, false},
		{"another administrator", admin, Access{Who: CurrentUserAnyElevation}, id.elevated},
		{"another administrator", admin, Access{Who: Everyone}, true},
	} {
		t.Run(fmt.Sprintf("%s, %+v", test.what, test.access), func(t *testing.T) { dialAs(t, test.token, test.access, test.want) })
	}
}

// TestSecondInstance: whoever may listen can make a second instance, which the
// system holds against the first one's descriptor, and its clients can't.
func TestSecondInstance(t *testing.T) {
	needEnforcement(t)
	id, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	unelevated := restrict(t, 0x4, nil) // LUA_TOKEN
	setIntegrity(t, unelevated, windows.WinMediumLabelSid)
	own := toImpersonate(t, duplicate(t, openProcessToken(t)))
	container := lowBox(t, sidPackage)
	for _, test := range []struct {
		what           string
		server, client windows.Token
		access         Access
		name           string
		want           bool // that the client can make an instance
	}{
		{"this process", own, own, Access{}, "", true},
		{"with everyone denied", own, own, Access{Who: Everyone, Deny: []string{"S-1-1-0"}}, "", true},
		{"with everyone let in", own, unelevated, Access{Who: Everyone}, "", !id.elevated},
		{"with its user let in", own, unelevated, Access{Who: CurrentUserAnyElevation}, "", !id.elevated},
		{"unelevated", unelevated, unelevated, Access{}, "", true},
		{"in a container", container, container, Access{}, `LOCAL\`, true},
		{"in a container, for everyone", container, restrict(t, 0x4, id.user), Access{Who: Everyone}, `LOCAL\`, false},
	} {
		t.Run(test.what, func(t *testing.T) {
			facts, err := factsOf(test.server)
			if err != nil {
				t.Fatal(err)
			}
			sd, err := test.access.descriptor(facts.identity())
			if err != nil {
				t.Fatal(err)
			}
			l := &listener{sd: sd, bufferSize: 4096, addr: &Addr{path: fmt.Sprintf(`%s%snp-%x`, pipename.Prefix, test.name, time.Now().UnixNano())}}
			make := func(token windows.Token, disposition uint32) (err error) {
				as(t, token, func() {
					var pipe windows.Handle
					if pipe, err = l.create(windows.GENERIC_READ|windows.GENERIC_WRITE|windows.SYNCHRONIZE, disposition); err == nil {
						t.Cleanup(func() { windows.CloseHandle(pipe) })
					}
				})
				return err
			}
			if err := errors.Join(make(test.server, windows.FILE_CREATE), make(test.server, windows.FILE_OPEN)); err != nil {
				t.Fatalf("the server, with %s: %v", sd, err)
			}
			if err := make(test.client, windows.FILE_OPEN); (err == nil) != test.want || err != nil && err != windows.STATUS_ACCESS_DENIED {
				t.Errorf("the client, with %s: %v; want an instance: %v", sd, err, test.want)
			}
		})
	}
}

// TestAppContainer connects with the token of an AppContainer package, by a name
// outside of it and by the one that the package sees as LOCAL.
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
	t.Run("LOCAL", func(t *testing.T) {
		path := containerPath(t, sidPackage)
		var session uint32
		if err := windows.ProcessIdToSessionId(windows.GetCurrentProcessId(), &session); err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf(`Sessions\%d\AppContainerNamedObjects\%s`, session, sidPackage); path != want {
			t.Errorf("the package's objects are in %s, the documentation says %s", path, want)
		}
		name := fmt.Sprintf("np-%x", time.Now().UnixNano())
		l, err := (&ListenConfig{Access: Access{Who: CurrentUserAnyElevation, Packages: []string{sidPackage}}}).Listen(t.Context(), path+`\`+name)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		as(t, token, func() {
			c, err := (&Dialer{Server: Trust{Anyone: true}}).Dial(context.Background(), `LOCAL\`+name)
			if err != nil {
				t.Error(err)
				return
			}
			c.Close()
		})
	})
}

// containerPath is where the names of a package's objects are.
func containerPath(t *testing.T, pkg string) string {
	t.Helper()
	var path [512]uint16
	var n uint32
	ok, _, err := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetAppContainerNamedObjectPath").Call(
		0, uintptr(unsafe.Pointer(mustSID(t, pkg))), uintptr(len(path)), uintptr(unsafe.Pointer(&path)), uintptr(unsafe.Pointer(&n)))
	if ok == 0 {
		t.Fatal(err)
	}
	return windows.UTF16ToString(path[:])
}

// as runs f on a thread that has the token.
func as(t *testing.T, token windows.Token, f func()) {
	t.Helper()
	err := onThread(func() error {
		if err := windows.SetThreadToken(nil, token); err != nil {
			return err
		}
		f()
		return nil
	})
	if err != nil {
		t.Fatal(err)
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
	var c *Conn
	as(t, token, func() {
		c, err = (&Dialer{Server: Trust{Anyone: true}}).Dial(context.Background(), l.Addr().String())
	})
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

func duplicate(t *testing.T, token windows.Token) (copied windows.Token) {
	t.Helper()
	process := windows.CurrentProcess()
	if err := windows.DuplicateHandle(process, windows.Handle(token), process, (*windows.Handle)(&copied), 0, false, windows.DUPLICATE_SAME_ACCESS); err != nil {
		t.Fatal(err)
	}
	return copied
}

// toImpersonate turns a primary token, which it closes, into one for a thread.
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
