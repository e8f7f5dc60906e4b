package namedpipe

import (
	"fmt"
	"io/fs"
	"net"
	"strings"
	"sync"
)

// Account is a user or a group of the system.
type Account struct {
	ID   string // the SID on Windows, elsewhere the number
	Name string // DOMAIN\name on Windows; "" if the system has none for the ID, or needs more than a second to find it there
}

// String returns the name, or the ID where there is none.
func (a Account) String() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// Peer is the process at the other end of a connection, as the system tells it.
// A Peer is not to be changed.
//
// UserProven and PIDProven say what is proof. The rest is a hint: a process id
// may be another process's by the time it is looked at, and so may what was
// found by it.
//
// In a Linux user namespace that isn't the first, users and groups without a
// number there all show up as one number, 65534. Whoever shows up as that is
// unknown, this process's own user included.
type Peer struct {
	// User, Groups, Administrator, Elevated, Integrity, Session, Package and
	// Level are proof if UserProven is set: on Windows they are from the token
	// that the client connected with, elsewhere from the credentials that the
	// kernel noted. All but Level are zero for a client that is Anonymous.
	User          Account
	Groups        []string // SIDs of the enabled groups; elsewhere numbers, without supplementary groups where the system doesn't tell them (gVisor)
	Administrator bool     // can act as administrator, if need be after a UAC prompt; elsewhere uid 0
	Elevated      bool     // acts as administrator now; elsewhere uid 0
	Integrity     string   // "untrusted", "low", "medium", "high" or "system"; "" off Windows
	Session       int      // the terminal services session on Windows; elsewhere 0
	Package       string   // SID of the AppContainer package, or ""
	Level         ImpersonationLevel
	UserProven    bool

	// SameUser reports whether the peer is the user that this process runs as,
	// whatever its integrity: that user's sandboxed programs are too, where they
	// can connect. It is also set for an Anonymous client, or one whose user
	// isn't known, of a listener that admits nobody else: the system held its
	// token against the pipe's rule when it connected, though the server can't
	// see it. If the server is elevated, such a client may be another elevated
	// administrator.
	SameUser bool

	// PID is the process id, or 0. PIDProven is set where the system vouches for
	// it: on Linux 6.5 and later, if the process was still there.
	PID       int
	PIDProven bool

	// Executable is the path of the program that the process runs, or "". It is
	// a hint, and never more: a process can run another program after it has
	// connected, hand its connection on, or in a mount namespace of its own
	// have any file at any path. Runs compares files, not paths.
	Executable string

	// Remote tells that the client is on another machine, which only
	// Access.Remote lets be.
	Remote bool

	file  fs.FileInfo // of the program, off Windows; nil if unknown
	birth uint64      // tells the process from a later one with its number, by when it was started; 0 if unknown
	conn  *Conn       // whose peer it is, for Impersonate; nil in Trust.Check
}

// String describes the peer in one line for logs.
func (p *Peer) String() string {
	var b strings.Builder
	switch {
	case p.UserProven:
		b.WriteString(p.User.String())
	case p.Level == Anonymous && p.SameUser:
		b.WriteString("anonymous (this user, by the pipe's access)")
	case p.SameUser:
		b.WriteString("this user (by the pipe's access)")
	case p.Level == Anonymous:
		b.WriteString("anonymous")
	default:
		b.WriteString("unknown user")
	}
	if p.Elevated {
		b.WriteString(", elevated")
	}
	if p.PID != 0 {
		fmt.Fprintf(&b, ", process %d", p.PID)
	}
	if p.Executable != "" {
		fmt.Fprintf(&b, " %s", p.Executable)
	}
	if p.Remote {
		b.WriteString(", on another machine")
	}
	return b.String()
}

// Alive reports whether the process still runs, as far as can be told by its
// number and when it was started (on Linux from 6.9 on, the inode of its pidfd).
// A process that can't be looked at counts as alive: that its connection is open
// says that somebody holds the other end.
func (p *Peer) Alive() bool {
	if p.PID == 0 || p.Remote || p.birth == 0 {
		return true
	}
	birth, err := birthOf(p.PID)
	return err != nil || birth == p.birth
}

// Runs reports whether the peer's program, when the peer was identified, was the
// file that is at path now, whatever the spelling of the path. It is a hint, as
// Executable is. It reports false if the program isn't known, as on macOS and
// the BSDs, and on Windows for UNC and device paths.
func (p *Peer) Runs(path string) bool { return p.runs(path) }

// identified is what a Conn knows of its peer once it has been asked.
type identified struct {
	once sync.Once
	peer *Peer
	err  error
}

// Peer tells who is at the other end. It is found out at the first call and
// stays what it was then; later calls return the same.
//
// At a server's end on Windows the first call waits for the client's first byte,
// which it puts back, for at most 10 seconds: some clients' identity can't be
// had before. It must come before any Read. At a client's end it is the server:
// who owns the pipe and, as a hint, the process that made it first.
func (c *Conn) Peer() (*Peer, error) {
	c.who.once.Do(func() {
		if c.who.err = net.ErrClosed; !c.closed.Load() {
			if c.who.peer, c.who.err = c.identify(); c.who.err == nil {
				c.who.peer.conn = c
			}
		}
	})
	if c.who.err != nil {
		return nil, opError("identify", c.addr, c.who.err)
	}
	return c.who.peer, nil
}

// Impersonate runs f as the client, on a thread of its own, with the token that
// the client connected with, and returns f's error. It is for a server's end on
// Windows; elsewhere the error matches errors.ErrUnsupported.
//
// The client must have granted the level Impersonation, and the process must
// hold SeImpersonatePrivilege unless the client is the same user; otherwise f
// is not run. The thread is the caller's again on every path, panics included;
// if that fails the process ends, since it can't go on as somebody else.
// Goroutines that f starts are not impersonated: they run as the server. What
// they need as the client, f must open and hand to them.
func (c *Conn) Impersonate(f func() error) error {
	if _, err := c.Peer(); err != nil {
		return err
	}
	return c.impersonate(f)
}

// Impersonate is Conn.Impersonate of the connection whose Peer returned p. For
// any other Peer, such as that of Trust.Check, the error matches fs.ErrInvalid.
func (p *Peer) Impersonate(f func() error) error {
	if p.conn == nil {
		return &problem{text: "no connection goes with this peer, so there is no token to act with", causes: []error{fs.ErrInvalid}}
	}
	return p.conn.Impersonate(f)
}
