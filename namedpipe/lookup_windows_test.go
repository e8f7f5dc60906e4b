package namedpipe

import (
	"context"
	"errors"
	"io/fs"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/windows"
)

// TestLookups: a look-up doesn't outlast the caller's context, its result is
// kept, and a failure is believed for a minute.
func TestLookups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var l lookups
		asked := 0
		slow := func() found {
			asked++
			time.Sleep(5 * time.Second)
			return found{text: "late"}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		if text, err := l.get(ctx, "slow", slow); text != "" || !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("within a second: %q, %v after %v", text, err, time.Since(begin))
		}
		for range 100 {
			if _, err := l.get(ctx, "slow", slow); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("beside the first: %v", err)
			}
		}
		time.Sleep(time.Hour)
		if text, err := l.get(t.Context(), "slow", slow); text != "late" || err != nil || asked != 1 {
			t.Errorf("later: %q, %v, asked %d times", text, err, asked)
		}

		asked = 0
		fails := func() found {
			asked++
			return found{err: fs.ErrInvalid, until: time.Now().Add(lookupKept)}
		}
		for wait, want := range []int{1, 1, 2} {
			time.Sleep(time.Duration(wait) * lookupKept / 2)
			if _, err := l.get(t.Context(), "fails", fails); err != fs.ErrInvalid || asked != want {
				t.Errorf("a failure, after %v: %v, asked %d times", time.Duration(wait)*lookupKept/2, err, asked)
			}
		}
	})
}

// TestNamesOfAccounts: accounts are named only where the name is shown, and who
// has none is not looked for again.
func TestNamesOfAccounts(t *testing.T) {
	id, err := processIdentity()
	if err != nil {
		t.Fatal(err)
	}
	owner := id.owner.String()
	names.known.Clear()
	_, client := ends(t, ListenConfig{}, Dialer{})
	if name, ok := names.known.Load(owner); ok {
		t.Errorf("Dial has looked for the owner's name: %v", name)
	}
	p, err := client.Peer()
	if err != nil {
		t.Fatal(err)
	}
	name, ok := names.known.Load(owner)
	if !ok || p.User.ID != owner || p.User.Name != name.(*lookup).text {
		t.Errorf("the server's user is %+v, the name looked for %v", p.User, name)
	}

	nobody := mustSID(t, sidOther)
	if a := accountOf(t.Context(), nobody); a.Name != "" || a.ID != sidOther {
		t.Errorf("an account without a name is %+v", a)
	}
	if known, ok := names.known.Load(sidOther); !ok || known.(*lookup).err == nil || known.(*lookup).until.IsZero() {
		t.Errorf("that it has none is remembered as %+v", known)
	}

	user := accountOf(t.Context(), id.user)
	for text, want := range map[string]bool{user.Name: true, user.ID: true, sidOther: false, "Everyone": false} {
		if is, err := isAccount(t.Context(), text, id.user); is != want || err != nil {
			t.Errorf("%s is %s: %v, %v", text, id.user, is, err)
		}
	}
	if is, err := isAccount(t.Context(), "no such user", id.user); is || !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("an unknown account: %v, %v", is, err)
	}
}

// TestMustBeAccount: only what tokens have is an account.
func TestMustBeAccount(t *testing.T) {
	t.Parallel()
	for kind := range uint32(12) {
		want := kind == windows.SidTypeUser || kind == windows.SidTypeGroup || kind == windows.SidTypeAlias || kind == windows.SidTypeWellKnownGroup
		if err := mustBeAccount("x", mustSID(t, sidUser), kind); (err == nil) != want {
			t.Errorf("kind %d: %v", kind, err)
		}
	}
	for sid, want := range map[string]bool{
		sidUser: true, sidService: true, sidPackage: true, "S-1-1-0": true, "S-1-5-18": true, "S-1-5-33": true, "S-1-5-80-0": true, sidAdmins: true,
		"S-1-5-21-1-2-3": false, "S-1-5-32": false, "S-1-5-80": false, "S-1-16-4096": false,
	} {
		if err := mustBeAccount("x", mustSID(t, sid), windows.SidTypeUser); (err == nil) != want {
			t.Errorf("%s: %v", sid, err)
		}
	}
}

// TestServiceAccount: a service is known by name.
func TestServiceAccount(t *testing.T) {
	t.Parallel()
	const installer = "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464"
	a, err := LookupUser(`NT SERVICE\TrustedInstaller`)
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil && errors.Is(err, fs.ErrInvalid) {
		t.Skip("Wine 10 knows no NT SERVICE accounts")
	}
	if err != nil || a.ID != installer {
		t.Errorf("%+v, %v", a, err)
	}
}
