package namedpipe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// TestAnotherUser: a server that isn't LocalSystem's knows a client of another
// user, whose token's own descriptor doesn't let it in, and can act as it where
// the client has granted that.
func TestAnotherUser(t *testing.T) {
	needEnforcement(t)
	if os.Getenv("CI") == "" || !windows.GetCurrentProcessToken().IsElevated() {
		t.Skip("makes a user on this machine: only as an administrator, with CI set in the environment")
	}
	token, sid := newUser(t)
	for _, level := range []ImpersonationLevel{Identification, Impersonation} {
		l, err := (&ListenConfig{Access: Access{Users: []string{sid.String()}}}).Listen(t.Context(), fmt.Sprintf("np-%x", time.Now().UnixNano()))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		var client *Conn
		as(t, token, func() {
			// The first write counts: at Impersonation the tracking is dynamic.
			client, err = (&Dialer{ImpersonationLevel: level, Server: Trust{Anyone: true}}).Dial(context.Background(), l.Addr().String())
			if err == nil {
				_, err = client.Write([]byte("x"))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := l.AcceptPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		p, err := server.Peer()
		if err != nil {
			t.Fatal(err)
		}
		if p.User.ID != sid.String() || !p.UserProven || p.SameUser || p.Elevated || p.Administrator || p.Level != level || len(p.Groups) == 0 {
			t.Errorf("level %d: the client is %+v", level, p)
		}
		inner, innerClient := ends(t, ListenConfig{}, Dialer{})
		if _, err := innerClient.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		ran := errors.New("it ran")
		err = impersonate(server, func() error {
			user, err := windows.GetCurrentThreadEffectiveToken().GetTokenUser()
			if err != nil || !user.User.Sid.Equals(sid) {
				t.Errorf("acts as %+v, %v", user, err)
			}
			// Inside, another connection's client is looked at: the thread's
			// token, which this process may not open as itself, comes back.
			if _, err := inner.Peer(); err != nil {
				return err
			}
			user, err = windows.GetCurrentThreadEffectiveToken().GetTokenUser()
			if err != nil || !user.User.Sid.Equals(sid) {
				t.Errorf("after a Peer inside acts as %+v, %v", user, err)
			}
			return ran
		})
		if want := map[ImpersonationLevel]error{Identification: fs.ErrPermission, Impersonation: ran}[level]; !errors.Is(err, want) {
			t.Errorf("level %d: Impersonate: %v, want %v", level, err, want)
		}
		if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
			t.Errorf("the peeked byte: %v", err)
		}
	}
}

// newUser makes a user of this machine for as long as the test runs, and logs it
// on.
func newUser(t *testing.T) (windows.Token, *windows.SID) {
	t.Helper()
	netapi := windows.NewLazySystemDLL("netapi32.dll")
	name := fmt.Sprintf("np-%.12s", rand.Text())
	password := rand.Text() + "-aA1"
	namePtr, passwordPtr, here := utf16Of(t, name), utf16Of(t, password), utf16Of(t, ".")
	info := struct { // USER_INFO_1
		name, password *uint16
		passwordAge    uint32
		privilege      uint32
		home, comment  *uint16
		flags          uint32
		script         *uint16
	}{name: namePtr, password: passwordPtr, privilege: 1 /* USER_PRIV_USER */, flags: 1 /* UF_SCRIPT */}
	if status, _, _ := netapi.NewProc("NetUserAdd").Call(0, 1, uintptr(unsafe.Pointer(&info)), 0); status != 0 {
		t.Fatalf("NetUserAdd: %v", windows.Errno(status))
	}
	t.Cleanup(func() {
		if status, _, _ := netapi.NewProc("NetUserDel").Call(0, uintptr(unsafe.Pointer(namePtr))); status != 0 {
			t.Errorf("NetUserDel: %v", windows.Errno(status))
		}
	})
	var primary windows.Token
	const network, provider = 3, 0 // LOGON32_LOGON_NETWORK, LOGON32_PROVIDER_DEFAULT
	ok, _, err := windows.NewLazySystemDLL("advapi32.dll").NewProc("LogonUserW").Call(
		uintptr(unsafe.Pointer(namePtr)), uintptr(unsafe.Pointer(here)), uintptr(unsafe.Pointer(passwordPtr)), network, provider, uintptr(unsafe.Pointer(&primary)))
	if ok == 0 {
		t.Fatalf("LogonUser: %v", err)
	}
	defer primary.Close()
	// A network logon gives a token for threads at once; this one is the test's.
	var token windows.Token
	if err := windows.DuplicateTokenEx(primary, windows.TOKEN_ALL_ACCESS, nil, windows.SecurityImpersonation, windows.TokenImpersonation, &token); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { token.Close() })
	user, err := token.GetTokenUser()
	if err != nil {
		t.Fatal(err)
	}
	sid, err := user.User.Sid.Copy()
	if err != nil {
		t.Fatal(err)
	}
	return token, sid
}

func utf16Of(t *testing.T, s string) *uint16 {
	t.Helper()
	p, err := windows.UTF16PtrFromString(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
