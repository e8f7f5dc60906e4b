package namedpipe

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// impersonate runs f as the client of c.
func impersonate(c *Conn, f func() error) error {
	p, err := c.Peer()
	if err != nil {
		return err
	}
	return p.Impersonate(f)
}

// threadTokenID returns the token that the thread acts with, 0 for none.
func threadTokenID(t *testing.T) (id uint64) {
	t.Helper()
	var token windows.Token
	err := windows.OpenThreadToken(windows.CurrentThread(), windows.TOKEN_QUERY, true, &token)
	if errors.Is(err, windows.ERROR_NO_TOKEN) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	defer token.Close()
	var statistics [56]byte // TOKEN_STATISTICS, which begins with the token's LUID
	n := uint32(len(statistics))
	if err := windows.GetTokenInformation(token, windows.TokenStatistics, &statistics[0], n, &n); err != nil {
		t.Fatal(err)
	}
	return *(*uint64)(unsafe.Pointer(&statistics))
}

// TestNestedImpersonation: what f does with other connections leaves f running
// as its own client, not as the server.
func TestNestedImpersonation(t *testing.T) {
	connection := func() *Conn {
		server, client := ends(t, ListenConfig{}, Dialer{ImpersonationLevel: Impersonation})
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		return server
	}
	outer := connection()
	for _, test := range []struct {
		what string
		do   func(inner *Conn) error
	}{
		{"a first Peer", func(inner *Conn) error { _, err := inner.Peer(); return err }},
		{"Impersonate", func(inner *Conn) error {
			return impersonate(inner, func() error {
				if threadTokenID(t) == 0 {
					t.Error("the inner function runs as the server")
				}
				return nil
			})
		}},
		{"a failed Impersonate", func(inner *Conn) error {
			inner.Close()
			if err := impersonate(inner, func() error { return nil }); err == nil {
				return errors.New("a closed connection's client was impersonated")
			}
			return nil
		}},
		{"a panic", func(inner *Conn) error {
			defer func() { recover() }()
			return impersonate(inner, func() error { panic("inside") })
		}},
	} {
		inner := connection()
		runtime.LockOSThread()
		err := impersonate(outer, func() error {
			before := threadTokenID(t)
			if err := test.do(inner); err != nil {
				return err
			}
			if after := threadTokenID(t); before == 0 || after != before {
				t.Errorf("%s inside Impersonate: the thread acts with the token %#x, before it with %#x", test.what, after, before)
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
		}
		if after := threadTokenID(t); after != 0 {
			t.Errorf("%s: after Impersonate the thread acts with the token %#x", test.what, after)
		}
		runtime.UnlockOSThread()
	}
}

// TestRestoreFails: a process that can't get its thread back ends.
func TestRestoreFails(t *testing.T) {
	if os.Getenv("NAMEDPIPE_TEST_RESTORE") != "" {
		runtime.LockOSThread()
		restore(windows.Token(0x7ffffff0)) // no such handle
		os.Exit(0)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestRestoreFails$")
	cmd.Env = append(os.Environ(), "NAMEDPIPE_TEST_RESTORE=1")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), "so this process ends") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestNoTokenBeforeTrust: whatever the level, a server can't act as the client
// before the client has written, which it does only after Dialer.Server has
// passed.
func TestNoTokenBeforeTrust(t *testing.T) {
	for level, flags := range qosLevels {
		dynamic := flags&windows.SECURITY_CONTEXT_TRACKING != 0
		if acts := level == Impersonation || level == Delegation; dynamic != acts {
			t.Errorf("level %d: dynamic tracking %v", level, dynamic)
		}
	}
	if windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil {
		t.Skip("Wine 10 lets every server impersonate at once")
	}
	for _, level := range []ImpersonationLevel{Impersonation, Delegation} {
		server, client := ends(t, ListenConfig{}, Dialer{ImpersonationLevel: level})
		take := func() (token windows.Token, err error) {
			err = server.onHandle(func(pipe windows.Handle) (err error) {
				token, err = openClientToken(pipe, func(windows.Token) error { return nil })
				return err
			})
			return token, err
		}
		if token, err := take(); !errors.Is(err, windows.ERROR_CANNOT_IMPERSONATE) {
			token.Close()
			t.Errorf("level %d: before the first write: %v", level, err)
		}
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(server, make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		token, err := take()
		if err != nil {
			t.Errorf("level %d: after the first write: %v", level, err)
		}
		token.Close()
	}
}
