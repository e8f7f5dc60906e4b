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
	"unsafe"

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

const (
	sidUser    = "S-1-5-21-1-2-3-1001"
	sidOther   = "S-1-5-21-1-2-3-1002"
	sidAdmins  = "S-1-5-32-544"
	sidService = "S-1-5-80-1-2-3-4-5"
	sidPackage = "S-1-15-2-1-2-3-4-5-6-7"
)

// TestDescriptors fixes each preset's descriptor for four kinds of server. The
// rights 0x12019b are those of a client, FA those of the server.
func TestDescriptors(t *testing.T) {
	ids := map[string]identity{
		"user":     {user: mustSID(t, sidUser), owner: mustSID(t, sidUser), self: mustSID(t, sidUser)},
		"elevated": {user: mustSID(t, sidUser), owner: mustSID(t, sidAdmins), self: mustSID(t, sidUser), elevated: true},
		"system":   {user: mustSID(t, "S-1-5-18"), owner: mustSID(t, sidAdmins), self: mustSID(t, "S-1-5-18"), elevated: true},
		"service":  {user: mustSID(t, "S-1-5-19"), owner: mustSID(t, "S-1-5-19"), self: mustSID(t, sidService)},
	}
	const user, elevated, system, service = "O:" + sidUser, "O:BA", "O:BA", "O:LS"
	const self, client = "(A;;FA;;;" + sidUser + ")", "(A;;0x12019b;;;"
	high, low := "S:(ML;;NRNW;;;HI)", "S:(ML;;NW;;;LW)"
	for _, test := range []struct {
		access Access
		want   map[string]string
	}{
		{Access{}, map[string]string{
			"user":     user + "D:P" + self,
			"elevated": elevated + "D:P" + self + high,
			"system":   system + "D:P(A;;FA;;;SY)" + high,
			"service":  service + "D:P(A;;FA;;;" + sidService + ")" + client + "LS)",
		}},
		{Access{Who: CurrentUserAnyElevation}, map[string]string{
			"user":     user + "D:P" + self,
			"elevated": elevated + "D:P" + self,
			"system":   system + "D:P(A;;FA;;;SY)",
			"service":  service + "D:P(A;;FA;;;" + sidService + ")" + client + "LS)",
		}},
		{Access{Who: Administrators}, map[string]string{
			"user":     user + "D:P" + self + client + "BA)",
			"elevated": elevated + "D:P" + self + client + "BA)",
			"system":   system + "D:P(A;;FA;;;SY)" + client + "BA)",
			"service":  service + "D:P(A;;FA;;;" + sidService + ")" + client + "BA)",
		}},
		{Access{Who: CurrentUser | Administrators}, map[string]string{
			"user":     user + "D:P" + self + client + "BA)",
			"elevated": elevated + "D:P" + self + client + "BA)" + high,
		}},
		{Access{Who: LocalUsers}, map[string]string{
			"user":     user + "D:P" + self + client + "BU)",
			"elevated": elevated + "D:P" + self + client + "BU)",
			"system":   system + "D:P(A;;FA;;;SY)" + client + "BU)",
			"service":  service + "D:P(A;;FA;;;" + sidService + ")" + client + "BU)",
		}},
		{Access{Who: Everyone}, map[string]string{"user": user + "D:P" + self + client + "WD)", "system": system + "D:P(A;;FA;;;SY)" + client + "WD)"}},
		{Access{Who: CurrentUser | AppContainers}, map[string]string{"user": user + "D:P" + self + client + "AC)", "elevated": elevated + "D:P" + self + client + "AC)"}},
		{Access{Who: CurrentUser, Packages: []string{sidPackage}}, map[string]string{"user": user + "D:P" + self + client + sidPackage + ")"}},
		{Access{Who: CurrentUser | LowIntegrity}, map[string]string{"user": user + "D:P" + self + low, "elevated": elevated + "D:P" + self + low}},
		{Access{Users: []string{sidOther}}, map[string]string{"user": user + "D:P" + self + client + sidOther + ")", "elevated": elevated + "D:P" + self + client + sidOther + ")"}},
		{Access{Users: []string{sidUser}, Groups: []string{"S-1-5-32-545"}}, map[string]string{"user": user + "D:P" + self + client + "BU)"}},
		{Access{Who: Everyone, Deny: []string{sidOther}}, map[string]string{"user": user + "D:P(D;;FA;;;" + sidOther + ")" + self + client + "WD)"}},
		{Access{SDDL: "D:(A;;GA;;;WD)"}, map[string]string{"user": user + "D:(A;;GA;;;WD)"}},
		{Access{SDDL: "O:SYD:(A;;FA;;;BA)"}, map[string]string{"user": "O:SYD:(A;;FA;;;BA)"}},
	} {
		for who, want := range test.want {
			sd, err := test.access.descriptor(ids[who])
			if err != nil {
				t.Errorf("%s, %+v: %v", who, test.access, err)
				continue
			}
			if got := wineSDDL(sd.String()); got != wineSDDL(want) {
				t.Errorf("%s, %+v:\n got %s\nwant %s", who, test.access, got, want)
			}
		}
	}
}

// wineSDDL levels what Wine 10 writes otherwise in the same descriptor: the
// label entry has no type there and spells its rights as a directory's, some
// aliases are SIDs, and the DACL's protection is written at the SACL too.
func wineSDDL(s string) string {
	return strings.NewReplacer(
		"S:P(;;", "S:(;;", "(ML;;NRNW;", "(;;CCDC;", "(ML;;NW;", "(;;CC;",
		"S-1-5-32-544", "BA", "S-1-5-32-545", "BU", "S-1-15-2-1)", "AC)", "S-1-5-19", "LS",
		"0x12019B", "0x12019b",
	).Replace(s)
}

func TestAccessErrorsWindows(t *testing.T) {
	for _, test := range []struct {
		access Access
		is     error
		says   string
	}{
		{Access{Users: []string{"no such user"}}, fs.ErrInvalid, `no account "no such user"`},
		{Access{Users: []string{"S-1-x"}}, fs.ErrInvalid, "not a SID"},
		{Access{Packages: []string{sidUser}}, fs.ErrInvalid, "begins S-1-15-2-"},
		{Access{SDDL: "rubbish"}, fs.ErrInvalid, "can't be read"},
		{Access{SDDL: "O:BA"}, fs.ErrInvalid, "no DACL"},
		{Access{SDDL: "D:", Who: Everyone}, fs.ErrInvalid, "stands alone"},
		{Access{Remote: true, Deny: []string{sidOther}}, fs.ErrInvalid, "Remote"},
		{Access{Who: 1 << 20}, fs.ErrInvalid, "unknown bits"},
	} {
		_, err := (&ListenConfig{Access: test.access}).Listen(t.Context(), fmt.Sprintf("np-%x", time.Now().UnixNano()))
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v", test.access, err)
		}
	}
}

func TestServiceIdentity(t *testing.T) {
	service := windows.SIDAndAttributes{Sid: mustSID(t, sidService), Attributes: windows.SE_GROUP_ENABLED}
	groups := []windows.SIDAndAttributes{{Sid: mustSID(t, sidAdmins), Attributes: windows.SE_GROUP_ENABLED}, service}
	for user, want := range map[string]string{sidUser: sidUser, "S-1-5-18": "S-1-5-18", "S-1-5-19": sidService, "S-1-5-20": sidService, sidService: sidService} {
		if got := selfOf(mustSID(t, user), groups).String(); got != want {
			t.Errorf("%s makes instances as %s, want %s", user, got, want)
		}
	}
	if got := selfOf(mustSID(t, "S-1-5-19"), groups[:1]).String(); got != "S-1-5-19" {
		t.Errorf("without a service SID: %s", got)
	}
}

// TestAccessCheck asks the system itself what a descriptor grants this user: as
// the server everything, through an entry of its own the client's rights, and
// never the right to make an instance.
func TestAccessCheck(t *testing.T) {
	own, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other := identity{user: mustSID(t, sidOther), owner: own.owner, self: mustSID(t, sidOther)}
	const createInstance = 0x4
	for _, test := range []struct {
		what    string
		access  Access
		id      identity
		granted bool // read and write
		create  bool
	}{
		{"one's own pipe", Access{}, own, true, true},
		{"another's pipe", Access{}, other, false, false},
		{"another's pipe that names this user", Access{Users: []string{own.user.String()}}, other, true, false},
		{"another's pipe for everyone", Access{Who: Everyone}, other, true, false},
		{"another's pipe for everyone but this user", Access{Who: Everyone, Deny: []string{own.user.String()}}, other, false, false},
	} {
		sd, err := test.access.descriptor(test.id)
		if err != nil {
			t.Fatal(err)
		}
		if got := accessCheck(t, sd, windows.FILE_READ_DATA|windows.FILE_WRITE_DATA); got != test.granted {
			t.Errorf("%s: read and write granted: %v (%s)", test.what, got, sd)
		}
		if got := accessCheck(t, sd, createInstance); got != test.create {
			t.Errorf("%s: to make an instance granted: %v (%s)", test.what, got, sd)
		}
	}
}

func accessCheck(t *testing.T, sd *windows.SECURITY_DESCRIPTOR, want uint32) bool {
	t.Helper()
	withGroup, err := sd.ToAbsolute() // AccessCheck wants a group
	if err != nil {
		t.Fatal(err)
	}
	if err := withGroup.SetGroup(mustSID(t, sidAdmins), false); err != nil {
		t.Fatal(err)
	}
	var primary, token windows.Token
	if err := windows.OpenProcessToken(windows.CurrentProcess(), windows.TOKEN_QUERY|windows.TOKEN_DUPLICATE, &primary); err != nil {
		t.Fatal(err)
	}
	defer primary.Close()
	if err := windows.DuplicateTokenEx(primary, windows.TOKEN_QUERY, nil, windows.SecurityIdentification, windows.TokenImpersonation, &token); err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	mapping := [4]uint32{windows.FILE_GENERIC_READ, windows.FILE_GENERIC_WRITE, windows.FILE_GENERIC_EXECUTE, fileAllAccess}
	var privileges [1024]byte
	size, granted, status := uint32(len(privileges)), uint32(0), uint32(0)
	ok, _, err := windows.NewLazySystemDLL("advapi32.dll").NewProc("AccessCheck").Call(
		uintptr(unsafe.Pointer(withGroup)), uintptr(token), uintptr(want), uintptr(unsafe.Pointer(&mapping)),
		uintptr(unsafe.Pointer(&privileges)), uintptr(unsafe.Pointer(&size)), uintptr(unsafe.Pointer(&granted)), uintptr(unsafe.Pointer(&status)))
	if ok == 0 {
		t.Fatal(err)
	}
	return status != 0 && granted&want == want
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
	err := server.Impersonate(func() error {
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
		server.Impersonate(func() error { panic("panic inside") })
	}()
	if err := client.Impersonate(func() error { return nil }); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("at the client's end: %v", err)
	}
	server.Close()
	if err := server.Impersonate(func() error { t.Error("it ran"); return nil }); err == nil {
		t.Error("a closed connection's client was impersonated")
	}
}

// TestLevelTooLow: the text names what the client must ask for.
func TestLevelTooLow(t *testing.T) {
	for level, says := range map[ImpersonationLevel]string{Identification: "level Identification only", Anonymous: "level Anonymous only"} {
		if err := tooLow(level); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "TokenImpersonationLevel.Impersonation") {
			t.Errorf("%v", err)
		}
	}
	server, client := ends(t, ListenConfig{}, Dialer{})
	client.Write([]byte("x"))
	err := server.Impersonate(func() error { return nil })
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
