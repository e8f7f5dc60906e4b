package namedpipe

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// TestOwner: whose pipe a Dialer accepts, and at what label.
func TestOwner(t *testing.T) {
	t.Parallel()
	// What this process demands of its own user's pipes.
	own := uint32(integrityMedium)
	if windows.GetCurrentProcessToken().IsElevated() {
		own = integrityHigh
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, test := range []struct {
		what  string
		owner string
		same  bool
		label uint32
		trust Trust
		field string // "" if accepted
	}{
		{"one's own", sidUser, true, own, Trust{}, ""},
		{"one's own, above", sidUser, true, integritySystem, Trust{}, ""},
		{"one's own, below", sidUser, true, own - 0x1000, Trust{}, "LowIntegrity"},
		{"one's own, just below", sidUser, true, own - 1, Trust{}, "LowIntegrity"},
		{"one's own sandbox", sidUser, true, integrityLow, Trust{}, "LowIntegrity"},
		{"one's own sandbox, let play", sidUser, true, integrityLow, Trust{LowIntegrity: true}, ""},
		{"another's sandbox", sidOther, false, integrityLow, Trust{LowIntegrity: true}, "Users"},
		{"the system's", "S-1-5-18", false, integrityLow, Trust{}, ""},
		{"Administrators'", sidAdmins, false, integrityLow, Trust{}, ""},
		{"another's", sidOther, false, integrityMedium, Trust{}, "Users"},
		{"another's, named", sidOther, false, integrityMedium, Trust{Users: []string{sidUser, sidOther}}, ""},
		{"a service's", sidService, false, integrityMedium, Trust{Users: []string{"S-1-5-19"}}, "Users"},
		{"a service's, named", sidService, false, integrityMedium, Trust{Groups: []string{sidService}}, ""},
		{"LocalService's, a service named", "S-1-5-19", false, integrityMedium, Trust{Users: []string{sidService}}, "Users"},
		{"nobody's", "", false, integrityMedium, Trust{}, "Anyone"},
	} {
		s := server{peer: &Peer{SameUser: test.same}, label: test.label}
		if test.owner != "" {
			s.owner = mustSID(t, test.owner)
		}
		err := test.trust.owner(t.Context(), s)
		var refused *TrustError
		if errors.As(err, &refused); (err == nil) != (test.field == "") || err != nil && (refused == nil || refused.Field != test.field) {
			t.Errorf("%s: %v", test.what, err)
		}
	}
	s := server{peer: &Peer{}, owner: mustSID(t, sidOther)}
	const slow = "a name that the system never finds"
	sids.known.Store(slow, &lookup{done: make(chan struct{})})
	if err := (&Trust{Users: []string{slow}}).owner(canceled, s); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: %v", err)
	}
	if err := (&Trust{Users: []string{"S-1-x"}}).owner(t.Context(), s); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("with a name that is none: %v", err)
	}
}

// TestLabelOf: the label of a descriptor, and none for a broken one.
func TestLabelOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		sddl string
		want uint32
	}{
		{"O:SYD:", integrityMedium},
		{"O:SYS:", integrityMedium},
		{"O:SYS:(ML;;NW;;;LW)", integrityLow},
		{"O:SYS:(ML;;NRNW;;;HI)", integrityHigh},
		{"O:SYS:(ML;;NW;;;S-1-16-8191)", 8191},
		{"O:SYS:(ML;IO;NW;;;HI)(ML;;NW;;;LW)", integrityLow},
		{"O:SYS:(ML;IO;NW;;;HI)", integrityMedium},
	} {
		sd, err := windows.SecurityDescriptorFromString(test.sddl)
		if err != nil {
			t.Fatal(err)
		}
		if label, err := labelOf(sd); label != test.want || err != nil {
			t.Errorf("%s: %#x, %v", test.sddl, label, err)
		}
	}
	if _, err := lastNumber(nil); err == nil {
		t.Error("a label without a SID was read")
	}
	empty := [8]byte{1, 0, 0, 0, 0, 0, 0, 16} // S-1-16
	if _, err := lastNumber((*windows.SID)(unsafe.Pointer(&empty))); err == nil {
		t.Error("an empty SID was read")
	}
}

// TestClosedToken: another user's token can't be opened, but it can be looked at
// while the thread acts with it.
func TestClosedToken(t *testing.T) {
	t.Parallel()
	sd, err := windows.SecurityDescriptorFromString("D:(A;;0x4;;;WD)") // TOKEN_IMPERSONATE
	if err != nil {
		t.Fatal(err)
	}
	attributes := windows.SecurityAttributes{SecurityDescriptor: sd}
	attributes.Length = uint32(unsafe.Sizeof(attributes))
	var closed windows.Token
	if err := windows.DuplicateTokenEx(openProcessToken(t), windows.TOKEN_IMPERSONATE|windows.TOKEN_QUERY, &attributes,
		windows.SecurityIdentification, windows.TokenImpersonation, &closed); err != nil {
		t.Fatal(err)
	}
	defer closed.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = onThread(func() error {
		if err := windows.SetThreadToken(nil, closed); err != nil {
			return err
		}
		var p Peer
		token, err := lookAtThread(func(token windows.Token) error {
			if token != windows.GetCurrentThreadEffectiveToken() {
				t.Errorf("the token could be opened: %#x", token)
			}
			user, err := p.fromToken(token)
			if err == nil {
				p.User.ID = user.String()
			}
			return err
		})
		if token != 0 {
			t.Errorf("the token is %#x", token)
		}
		id, ierr := processIdentity()
		if ierr != nil {
			return ierr
		}
		if p.User.ID != id.user.String() || !p.UserProven || !p.SameUser || p.Level != Identification || len(p.Groups) == 0 || p.Integrity == "" {
			t.Errorf("the client is %+v", p)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	// Without a token of its own a thread is nobody's client.
	if token, err := lookAtThread(func(windows.Token) error { t.Error("looked at the process's token"); return nil }); err != windows.ERROR_NO_TOKEN {
		t.Errorf("on a thread without a token: %#x, %v", token, err)
	}
	// A connection whose client's token is closed can't act as it, and says so.
	var kept clientToken
	kept.set(nil, 0)
	if _, err := kept.copy(); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "look at") {
		t.Errorf("to act as the client: %v", err)
	}
}

// TestPeekInTime: a client's first byte that comes just as the wait for it ends
// is lost to no Read, and the wait's deadline meets none.
func TestPeekInTime(t *testing.T) {
	t.Parallel()
	server, client := ends(t, ListenConfig{}, Dialer{})
	read := 0
	for round := range 300 {
		written := make(chan error, 1)
		go func() {
			_, err := client.Write([]byte{byte(round)})
			written <- err
		}()
		wait := time.Duration(round%30) * 10 * time.Microsecond
		err := server.peeked.fill(server, wait)
		if err == nil {
			read++
		} else if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
		b := []byte{0}
		if _, err := io.ReadFull(server, b); err != nil || b[0] != byte(round) {
			t.Fatalf("round %d, after a wait of %v: %v, %v", round, wait, b, err)
		}
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d of 300 came in time", read)
}
