package namedpipe

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/windows"
)

// clientToken keeps the token that a client connected with until the connection
// is closed.
type clientToken struct {
	mu      sync.Mutex
	token   windows.Token
	dropped runtime.Cleanup // closes the token of a connection that nobody closed
	closed  bool
}

func (t *clientToken) set(c *Conn, token windows.Token) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		token.Close()
		return
	}
	if token == 0 {
		return
	}
	t.token = token
	t.dropped = runtime.AddCleanup(c, func(token windows.Token) { token.Close() }, token)
}

// copy returns a handle that outlives the connection: what runs as the client
// may close it.
func (t *clientToken) copy() (token windows.Token, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return 0, net.ErrClosed
	}
	if t.token == 0 {
		return 0, &problem{text: "the system doesn't let this process act as the client: it may only look at the client's token", causes: []error{fs.ErrPermission}}
	}
	process := windows.CurrentProcess()
	err = windows.DuplicateHandle(process, windows.Handle(t.token), process, (*windows.Handle)(&token), 0, false, windows.DUPLICATE_SAME_ACCESS)
	return token, err
}

func (t *clientToken) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.token != 0 {
		t.dropped.Stop()
		t.token.Close()
		t.token = 0
	}
}

// openClientToken takes the token of the pipe's client by acting as it for a
// moment, and has look look at it. The token is 0 if its own descriptor doesn't
// let this process open it, as another user's at the level Identification
// doesn't: then it can be looked at, and nobody can act with it later.
func openClientToken(pipe windows.Handle, look func(windows.Token) error) (token windows.Token, err error) {
	err = onThread(func() error {
		if ok, _, err := procImpersonateNamedPipeClient.Call(uintptr(pipe)); ok == 0 {
			return os.NewSyscallError("ImpersonateNamedPipeClient", err)
		}
		token, err = lookAtThread(look)
		return err
	})
	return token, err
}

// openThreadToken opens the token that the thread acts with. A token lets in its
// own user and LocalSystem, so another service must ask as the user whose token
// it is, which the levels from Impersonation on allow.
func openThreadToken(access uint32) (token windows.Token, err error) {
	err = windows.OpenThreadToken(windows.CurrentThread(), access, true, &token)
	if err == windows.ERROR_ACCESS_DENIED && windows.OpenThreadToken(windows.CurrentThread(), access, false, &token) == nil {
		err = nil
	}
	return token, err
}

// lookAtThread has look look at the token that the thread acts with.
func lookAtThread(look func(windows.Token) error) (token windows.Token, err error) {
	token, err = openThreadToken(windows.TOKEN_QUERY | windows.TOKEN_DUPLICATE | windows.TOKEN_IMPERSONATE)
	switch {
	case err == windows.ERROR_ACCESS_DENIED:
		// The thread has a token, or there would have been another error. What
		// a thread acts with it may always look at, by this handle:
		// https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-getcurrentthreadeffectivetoken
		return 0, look(windows.GetCurrentThreadEffectiveToken())
	case err != nil:
		return 0, err
	}
	if err := look(token); err != nil {
		token.Close()
		return 0, err
	}
	return token, nil
}

// onThread runs f, which may change the thread's token, on a locked thread that
// has its own token back when onThread returns. The thread may already act as
// the client of another connection, and must go on as that.
func onThread(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before, err := openThreadToken(windows.TOKEN_IMPERSONATE)
	if err != nil && err != windows.ERROR_NO_TOKEN {
		return os.NewSyscallError("OpenThreadToken", err)
	}
	defer restore(before)
	return f()
}

// restore gives the thread back the token it had, 0 for none, and closes it. A
// thread that stays somebody else would go on to serve other goroutines, so the
// process ends if it fails.
func restore(before windows.Token) {
	// SetThreadToken, not RevertToSelf: it takes 0 for none.
	if err := windows.SetThreadToken(nil, before); err != nil {
		fmt.Fprintf(os.Stderr, "namedpipe: can't stop acting as a client, so this process ends: %v\n", err)
		os.Exit(2)
	}
	if before != 0 {
		before.Close()
	}
}

func (c *Conn) impersonate(f func() error) error {
	if c.client {
		return opError("impersonate", c.addr, &problem{text: "this is the client's end: only a server can act as its client", causes: []error{fs.ErrInvalid}})
	}
	if level := c.who.peer.Level; level == Anonymous || level == Identification {
		return opError("impersonate", c.addr, tooLow(level))
	}
	token, err := c.token.copy()
	if err != nil {
		return opError("impersonate", c.addr, err)
	}
	defer token.Close()
	return c.asClient(token, f)
}

func tooLow(level ImpersonationLevel) error {
	name := "Identification"
	if level == Anonymous {
		name = "Anonymous"
	}
	return &problem{
		text: "the client has only granted the level " + name + ": it must grant Impersonation, " +
			"in Go with Dialer.ImpersonationLevel, in .NET with NamedPipeClientStream's TokenImpersonationLevel.Impersonation",
		causes: []error{fs.ErrPermission},
	}
}

// asClient runs f with the thread's token set. The level is read back: without
// SeImpersonatePrivilege Windows sets the token of another user at a lower
// level without an error.
func (c *Conn) asClient(token windows.Token, f func() error) error {
	return onThread(func() error {
		if err := windows.SetThreadToken(nil, token); err != nil {
			return opError("impersonate", c.addr, os.NewSyscallError("SetThreadToken", err))
		}
		level, err := tokenInfo32(windows.GetCurrentThreadEffectiveToken(), windows.TokenImpersonationLevel)
		if err != nil {
			return opError("impersonate", c.addr, err)
		}
		if level < windows.SecurityImpersonation {
			return opError("impersonate", c.addr, explainAs(fs.ErrPermission, syscall.Errno(windows.ERROR_PRIVILEGE_NOT_HELD),
				"Windows has lowered the level, since this process lacks SeImpersonatePrivilege",
				"run it as a service or an administrator, or grant its account \"Impersonate a client after authentication\""))
		}
		return f()
	})
}
