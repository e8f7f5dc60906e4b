package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/windows"
)

func mustSID(t *testing.T, s string) *windows.SID {
	t.Helper()
	sid, err := windows.StringToSid(s)
	if err != nil {
		t.Fatal(err)
	}
	return sid
}

func TestAccessErrorsWindows(t *testing.T) {
	t.Parallel()
	own, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	computer, err := windows.ComputerName()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		access Access
		is     error
		says   string
	}{
		{Access{Users: []string{"no such user"}}, fs.ErrInvalid, `no account "no such user"`},
		{Access{Users: []string{"S-1-x"}}, fs.ErrInvalid, "not a SID"},
		{Access{Packages: []string{sidUser}}, fs.ErrInvalid, "begins S-1-15-2-"},
		{Access{SDDL: "rubbish"}, fs.ErrInvalid, "can't be parsed"},
		{Access{SDDL: "O:BA"}, fs.ErrInvalid, "no DACL"},
		{Access{SDDL: "D:", Who: Everyone}, fs.ErrInvalid, "stands alone"},
		{Access{Remote: true, Deny: []string{sidOther}}, fs.ErrInvalid, "Remote"},
		{Access{Who: 1 << 20}, fs.ErrInvalid, "unknown bits"},
		{Access{SDDL: "D:(A;;FA;;;SY)"}, fs.ErrInvalid, `SDDL "D:(A;;FA;;;SY)" doesn't give this process full access`},
		{Access{SDDL: "D:(A;;0x12019b;;;WD)"}, fs.ErrInvalid, "second instance: grant it with (A;;FA;;;" + own.self.String() + ")"},
		{Access{SDDL: "D:(D;;0x4;;;WD)(A;;FA;;;WD)"}, fs.ErrInvalid, "doesn't give this process full access"},
		{Access{Who: Everyone, Deny: []string{own.self.String()}}, fs.ErrInvalid, "the identity with which this process makes"},
		{Access{Who: Everyone, Deny: []string{computer}}, fs.ErrInvalid, "is not a user or group"},
		{Access{Who: Everyone, Deny: []string{"BUILTIN"}}, fs.ErrInvalid, "is not a user or group"},
		{Access{Who: Everyone, Deny: []string{"S-1-5-21-1-2-3"}}, fs.ErrInvalid, "is not a user or group"},
		{Access{Who: Everyone, Deny: []string{"S-1-16-4096"}}, fs.ErrInvalid, "is not a user or group"},
		{Access{Users: []string{"S-1-5-32"}}, fs.ErrInvalid, "is not a user or group"},
	} {
		if _, err := test.access.Describe(); !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("Describe of %+v: %v", test.access, err)
		}
		_, err := (&ListenConfig{Access: test.access}).Listen(t.Context(), fmt.Sprintf("np-%x", time.Now().UnixNano()))
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test.access, err)
		}
	}
}

// TestServiceSID: one service's SID has six numbers.
func TestServiceSID(t *testing.T) {
	t.Parallel()
	for sid, want := range map[string]bool{
		sidService: true, "S-1-5-80-0": false, "S-1-5-80-1-2-3-4": false, "S-1-5-80-1-2-3-4-5-6": false,
		"S-1-5-81-1-2-3-4-5": false, "S-1-15-80-1-2-3-4-5": false, sidUser: false, "S-1-5-80": false,
	} {
		if got := isServiceSID(mustSID(t, sid)); got != want {
			t.Errorf("%s: %v", sid, got)
		}
	}
}

// TestAccessCheck asks the system itself what a descriptor grants this user: as
// the server everything, through an entry of its own the client's rights, and
// never the right to make an instance.
func TestAccessCheck(t *testing.T) {
	t.Parallel()
	own, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other := identity{tokenFacts: tokenFacts{user: mustSID(t, sidOther)}, owner: own.owner, self: mustSID(t, sidOther)}
	user := own.user.String()
	for _, test := range []struct {
		what    string
		access  Access
		id      identity
		granted bool // read and write
		create  bool
	}{
		{"one's own pipe", Access{}, own, true, true},
		{"one's own pipe that denies everyone", Access{Who: Everyone, Deny: []string{"S-1-1-0"}}, own, true, true},
		{"another's pipe", Access{}, other, false, false},
		{"another's pipe that names this user", Access{Users: []string{user}}, other, true, false},
		{"another's pipe for everyone", Access{Who: Everyone}, other, true, false},
		{"another's pipe for everyone but this user", Access{Who: Everyone, Deny: []string{user}}, other, false, false},
		{"another's pipe that names and denies this user", Access{Users: []string{user}, Deny: []string{user}}, other, false, false},
	} {
		sd, err := test.access.descriptor(test.id)
		if err != nil {
			t.Fatal(err)
		}
		for rights, want := range map[uint32]bool{windows.FILE_READ_DATA | windows.FILE_WRITE_DATA: test.granted, serverAccess: test.create} {
			if got, err := grantsSelf(sd, rights); got != want || err != nil {
				t.Errorf("%s: %#x granted: %v, %v (%s)", test.what, rights, got, err, sd)
			}
		}
	}
}

// ends returns both ends of a connection dialled with d.
func ends(t *testing.T, lc ListenConfig, d Dialer) (server, client *Conn) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := lc.Listen(ctx, fmt.Sprintf("np-%x", time.Now().UnixNano()))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = d.Dial(ctx, l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	server, err = l.AcceptPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server, client
}

func TestPeerWindows(t *testing.T) {
	server, client := ends(t, ListenConfig{}, Dialer{})
	if _, err := client.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	p, err := server.Peer()
	if err != nil {
		t.Fatal(err)
	}
	own, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if p.User.ID != own.user.String() || p.User.Name == "" || !p.UserProven || !p.SameUser || p.PID != os.Getpid() || p.PIDProven ||
		p.Integrity == "" || p.Remote || p.Package != "" || len(p.Groups) == 0 {
		t.Errorf("the client is %+v", p)
	}
	if p.Executable == "" || !sameFile(p.Executable, os.Args[0]) {
		t.Errorf("its executable is %q, want %q", p.Executable, os.Args[0])
	}
	// The peeked byte was put back.
	b := make([]byte, 5)
	if _, err := io.ReadFull(server, b); err != nil || string(b) != "hello" {
		t.Errorf("read %q, %v", b, err)
	}
	p, err = client.Peer()
	if err != nil {
		t.Fatal(err)
	}
	if p.User.ID != own.owner.String() || !p.SameUser || p.PID != os.Getpid() {
		t.Errorf("the server is %+v", p)
	}
}

// TestSilentClient: a client that leaves before its first byte can't be
// identified, and that is an error, not a wait.
func TestSilentClient(t *testing.T) {
	server, client := ends(t, ListenConfig{}, Dialer{})
	client.Close()
	if _, err := server.Peer(); !errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "before it sent") {
		t.Errorf("Peer: %v", err)
	}
}

func TestImpersonate(t *testing.T) {
	server, client := ends(t, ListenConfig{}, Dialer{ImpersonationLevel: Impersonation})
	client.Write([]byte("x"))
	ran := errors.New("it ran")
	err := impersonate(server, func() error {
		var token windows.Token
		if err := windows.OpenThreadToken(windows.CurrentThread(), windows.TOKEN_QUERY, true, &token); err != nil {
			return err
		}
		defer token.Close()
		user, err := token.GetTokenUser()
		if err != nil {
			return err
		}
		if p, _ := server.Peer(); user.User.Sid.String() != p.User.ID {
			return fmt.Errorf("acts as %s", user.User.Sid)
		}
		return ran
	})
	if err != ran {
		t.Errorf("Impersonate: %v", err)
	}
	reverted := func() {
		var token windows.Token
		if err := windows.OpenThreadToken(windows.CurrentThread(), windows.TOKEN_QUERY, true, &token); !errors.Is(err, windows.ERROR_NO_TOKEN) {
			t.Errorf("after Impersonate the thread's token: %v", err)
		}
	}
	reverted()
	func() {
		defer func() {
			if recover() != "panic inside" {
				t.Error("the panic did not come through")
			}
			reverted()
		}()
		impersonate(server, func() error { panic("panic inside") })
	}()
	if err := impersonate(client, func() error { return nil }); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("at the client's end: %v", err)
	}
	server.Close()
	if err := impersonate(server, func() error { t.Error("it ran"); return nil }); err == nil {
		t.Error("a closed connection's client was impersonated")
	}
}

// TestLevelTooLow: the text names what the client must grant.
func TestLevelTooLow(t *testing.T) {
	for level, says := range map[ImpersonationLevel]string{Identification: "only granted the level Identification", Anonymous: "only granted the level Anonymous"} {
		if err := tooLow(level); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "TokenImpersonationLevel.Impersonation") {
			t.Errorf("%v", err)
		}
	}
	server, client := ends(t, ListenConfig{}, Dialer{})
	client.Write([]byte("x"))
	err := impersonate(server, func() error { return nil })
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		t.Skip("Wine 10 gives every server the level Impersonation")
	}
	if !errors.Is(err, fs.ErrPermission) {
		t.Errorf("Impersonate at Identification: %v", err)
	}
}

// TestTrustWindows: the owner decides, the process comes on top.
func TestTrustWindows(t *testing.T) {
	own, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	stranger := "D:P(A;;FA;;;WD)"
	foreign := "O:" + own.user.String() + stranger // the token's User, which is not its Owner under Wine
	if own.user.Equals(own.owner) {
		foreign = "" // this account can give its pipes no other owner
	}
	pid := os.Getpid()
	for _, test := range []struct {
		what, sddl string
		trust      Trust
		says       string // "" if accepted
	}{
		{"one's own", "", Trust{}, ""},
		{"another's", foreign, Trust{}, "neither this user, nor the system"},
		{"another's, named", foreign, Trust{Users: []string{own.user.String()}}, ""},
		{"another's, named as a group", foreign, Trust{Groups: []string{own.user.String()}}, ""},
		{"another's, with another named", foreign, Trust{Users: []string{sidOther}}, "neither"},
		{"another's, for anyone", foreign, Trust{Anyone: true}, ""},
		{"the right process of another's", foreign, Trust{PID: pid}, "neither"},
		{"the right process", "", Trust{PID: pid}, ""},
		{"the wrong process", "", Trust{PID: pid + 4}, "process is not"},
		{"the right program", "", Trust{Executable: os.Args[0]}, ""},
		{"the wrong program", "", Trust{Executable: `C:\windows\system32\cmd.exe`}, "program is not"},
		{"one's own function", "", Trust{Check: func(*Peer) error { return errors.New("not today") }}, "not today"},
	} {
		if strings.HasPrefix(test.what, "another's") && foreign == "" || test.what == "the right process of another's" && foreign == "" {
			t.Logf("%s: not tried, the token's User is its Owner", test.what)
			continue
		}
		l, err := (&ListenConfig{Access: Access{SDDL: test.sddl}}).Listen(t.Context(), fmt.Sprintf("np-%x", time.Now().UnixNano()))
		if err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		c, err := (&Dialer{Server: test.trust}).Dial(t.Context(), l.Addr().String())
		switch {
		case err == nil:
			c.Close()
			if test.says != "" {
				t.Errorf("%s: accepted", test.what)
			}
		case test.says == "" || !errors.Is(err, fs.ErrPermission) || !errors.As(err, new(*TrustError)) || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "nothing was sent"):
			t.Errorf("%s: %v", test.what, err)
		}
		l.Close()
	}
}
