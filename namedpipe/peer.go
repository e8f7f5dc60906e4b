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
	ID   string // the SID on Windows; the number elsewhere
	Name string // DOMAIN\name on Windows; "" if the ID has no name, or Windows took more than a second to find it
}

// String returns the name or, if there is none, the ID.
func (a Account) String() string {
	if a.Name != "" {
		return a.Name
	}
	return a.ID
}

// Peer describes the process at the other end of a connection, as the system
// reports it. A Peer must not be modified.
//
// Only what UserProven and PIDProven cover is proof. The rest is a hint: by the
// time a process id is looked at it may belong to another process, and with it
// everything found by that id.
//
// In a Linux user namespace other than the initial one, all users and groups that
// are not mapped show up as one number, 65534. A user with that number is
// unknown, including the user of this process.
type Peer struct {
	// User, Groups, Administrator, Elevated, Integrity, Session, Package and
	// Level are proof if UserProven is set: on Windows they come from the token
	// that the client connected with, elsewhere from the credentials that the
	// kernel recorded. All but Level are zero for a client that is Anonymous.
	User          Account
	Groups        []string // SIDs of the enabled groups; numbers elsewhere, without supplementary groups where the system does not report them (gVisor)
	Administrator bool     // can act as administrator, if need be after a UAC prompt; uid 0 elsewhere
	Elevated      bool     // acts as administrator now; uid 0 elsewhere
	Integrity     string   // "untrusted", "low", "medium", "high" or "system"; "" off Windows
	Session       int      // the terminal services session on Windows; 0 elsewhere
	Package       string   // SID of the AppContainer package, or ""
	Level         ImpersonationLevel
	UserProven    bool

	// SameUser reports whether the peer is the user that this process runs as,
	// at any integrity: that includes the user's sandboxed programs, where they
	// can connect. It is also set for a client that is Anonymous, or whose user
	// isn't known, if the listener admits nobody else: the system checked the
	// client's token against the pipe's rule when it connected, although the
	// server can't see it. If the server is elevated, such a client may be
	// another elevated administrator.
	SameUser bool

	// PID is the process id, or 0 if it isn't known. PIDProven reports whether
	// the system vouches for it: on Linux 6.5 and later, if the process still
	// ran.
	PID       int
	PIDProven bool

	// Executable is the path of the program that the process runs, or "". It is
	// always a hint: after connecting, a process can run another program or hand
	// its connection on, and in a mount namespace of its own it can have any
	// file at any path. Runs compares files, not paths.
	Executable string

	// Remote reports whether the client is on another machine, which
	// Access.Remote must allow.
	Remote bool

	//lint:ignore U1000 off Windows only
	file  fs.FileInfo // of the program; nil if unknown
	birth uint64      // distinguishes the process from a later one with the same id, by when it was started; 0 if unknown
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

// Alive reports whether the process still runs, judging by its id and by when it
// was started (on Linux 6.9 and later, by the inode of its pidfd). A process that
// can't be looked at counts as alive: since its connection is open, somebody holds
// the other end.
func (p *Peer) Alive() bool {
	if p.PID == 0 || p.Remote || p.birth == 0 {
		return true
	}
	birth, err := birthOf(p.PID)
	return err != nil || birth == p.birth
}

// Runs reports whether the program that the peer ran when it was identified is the
// file that is at path now, however the path is spelled. Like Executable it is a
// hint. It returns false if the program isn't known, as on macOS and the BSDs, and
// on Windows for UNC and device paths.
func (p *Peer) Runs(path string) bool { return p.runs(path) }

// identified is what a Conn has found out about its peer.
type identified struct {
	once sync.Once
	peer *Peer
	err  error
}

// Peer returns a description of the process at the other end. It is made by the
// first call; later calls return the same.
//
// At the server's end on Windows the first call waits up to 10 seconds for the
// client's first byte, which stays readable, since some clients can't be
// identified before. The call must come before any Read. At the client's end the
// peer is the server: the owner of the pipe and, as a hint, the process that first
// made it.
func (c *Conn) Peer() (*Peer, error) {
	first := false
	c.who.once.Do(func() {
		first = true
		if c.who.err = net.ErrClosed; !c.closed.Load() {
			if c.who.peer, c.who.err = c.identify(); c.who.err == nil {
				c.who.peer.conn = c
			}
		}
	})
	if c.who.err != nil {
		if first {
			c.unidentified(c.who.err)
		}
		return nil, opError("identify", c.addr, c.who.err)
	}
	return c.who.peer, nil
}

// Impersonate runs f as the client, on a thread of its own with the token that the
// client connected with, and returns f's error. It works for the Peer of a
// server's Conn on Windows, until that is closed; elsewhere the error matches
// errors.ErrUnsupported. A Peer of no connection, such as the one given to
// Trust.Check, is an error that matches fs.ErrInvalid. Calls may be nested.
//
// The client must have granted the level Impersonation, and this process must hold
// SeImpersonatePrivilege unless the client is the same user; otherwise f does not
// run. When f returns or panics, the thread gets back the token that it had; if
// that fails, the process exits, since it can't go on as somebody else.
// Goroutines that f starts run as the server, not as the client. What they need as
// the client, f must open and hand to them.
func (p *Peer) Impersonate(f func() error) error {
	if p.conn == nil {
		return &problem{text: "this peer has no connection, so there is no token to act with", causes: []error{fs.ErrInvalid}}
	}
	return p.conn.impersonate(f)
}
