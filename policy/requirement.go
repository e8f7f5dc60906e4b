package policy

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Requirement is a condition on the process that makes a call. The zero
// Requirement is met by nobody.
type Requirement struct {
	text string
	met  func(context.Context, *namedpipe.Peer) error
	err  error // why it makes no sense, for New
}

// String returns what is required, as a refused caller reads it.
func (r Requirement) String() string {
	if r.met == nil {
		return "nobody"
	}
	return r.text
}

var (
	errNotMet    = errors.New("not met")
	errAnonymous = errors.New("the caller is anonymous: it must connect with the impersonation level Identification, " +
		"in Go namedpipe.Dialer.ImpersonationLevel, in .NET the NamedPipeClientStream's TokenImpersonationLevel.Identification")
)

// require makes a requirement of a condition on the peer.
func require(text string, met func(*namedpipe.Peer) bool) Requirement {
	return Requirement{text: text, met: func(_ context.Context, p *namedpipe.Peer) error {
		switch {
		case met(p):
			return nil
		case p.Level == namedpipe.Anonymous:
			return errAnonymous
		}
		return errNotMet
	}}
}

// AnyPeer is met by every process that the listener lets in.
func AnyPeer() Requirement {
	return require("any process that may connect", func(*namedpipe.Peer) bool { return true })
}

// SameUser is met by the user that this process runs as, on Windows at whatever
// integrity: see Integrity. An anonymous client meets it if the listener lets in
// nobody else.
func SameUser() Requirement {
	return require("the user that the server runs as", func(p *namedpipe.Peer) bool { return p.SameUser })
}

// Administrators is met by processes that act as administrator: on Windows
// elevated members of Administrators, elsewhere root.
func Administrators() Requirement {
	return require("an administrator (elevated)", func(p *namedpipe.Peer) bool {
		return p.UserProven && p.Administrator && p.Elevated
	})
}

// User is met by one user, given by account name or SID, off Windows by name or
// number. The name is looked up once, by this call.
func User(name string) Requirement {
	account, err := lookup(namedpipe.LookupUser, name)
	r := require("user "+name, func(p *namedpipe.Peer) bool { return p.UserProven && p.User.ID == account.ID })
	r.err = err
	return r
}

// Group is met by the members of one group, given like User's. On Windows a
// group that UAC has taken from the client's token doesn't count.
func Group(name string) Requirement {
	account, err := lookup(namedpipe.LookupGroup, name)
	r := require("a member of group "+name, func(p *namedpipe.Peer) bool { return p.UserProven && slices.Contains(p.Groups, account.ID) })
	r.err = err
	return r
}

func lookup(find func(string) (namedpipe.Account, error), name string) (namedpipe.Account, error) {
	if name == "" {
		return namedpipe.Account{}, errors.New("the name is empty: name a user or a group")
	}
	return find(name)
}

// Session is met by processes of one Windows session of this machine, such as
// the console's. Session 0 is that of services. It is for Windows only.
func Session(id int) Requirement {
	r := require(fmt.Sprintf("a process of session %d", id), func(p *namedpipe.Peer) bool {
		return p.UserProven && !p.Remote && p.Session == id
	})
	switch {
	case runtime.GOOS != "windows":
		r.err = fmt.Errorf("Session needs Windows: %s has no sessions: %w", runtime.GOOS, errors.ErrUnsupported)
	case id < 0:
		r.err = fmt.Errorf("no session has the id %d", id)
	}
	return r
}

// Integrity is met by processes of at least this integrity: "low", "medium",
// "high" or "system". An AppContainer's are low. It is for Windows only, where
// SameUser and User take the sandboxed programs of their users too.
func Integrity(least string) Requirement {
	levels := []string{"untrusted", "low", "medium", "high", "system"} // as in Peer
	want := slices.Index(levels, least)
	r := require("an integrity of at least "+least, func(p *namedpipe.Peer) bool {
		return want > 0 && p.UserProven && slices.Index(levels, p.Integrity) >= want
	})
	switch {
	case runtime.GOOS != "windows":
		r.err = fmt.Errorf("Integrity needs Windows: %s has no integrity levels: %w", runtime.GOOS, errors.ErrUnsupported)
	case want <= 0:
		r.err = fmt.Errorf("integrity %q: write low, medium, high or system", least)
	}
	return r
}

// HintExecutable is met by processes that run one program, given by its full
// path; see [namedpipe.Peer.Runs]. It is a hint: a process that met it may run
// another program by now, and a program does what its user's debugger says. Use
// it beside another requirement, not alone.
func HintExecutable(path string) Requirement {
	r := require("the program "+path, func(p *namedpipe.Peer) bool { return p.Runs(path) })
	if !filepath.IsAbs(path) {
		r.err = fmt.Errorf("HintExecutable needs the full path of a program, not %q", path)
	}
	return r
}

// HintPID is met by one process, such as a child that the server started. It is
// a hint unless Peer.PIDProven is set: another process may have the number by
// now.
func HintPID(pid int) Requirement {
	r := require(fmt.Sprintf("process %d", pid), func(p *namedpipe.Peer) bool { return p.PID == pid && pid > 0 && !p.Remote })
	if pid <= 0 {
		r.err = fmt.Errorf("no process has the id %d", pid)
	}
	return r
}

// Check is met if met returns nil. The text completes "requires ..." for the
// caller; met's error goes to the log only. met is called for every call, by
// many goroutines at the same time.
func Check(text string, met func(context.Context, *namedpipe.Peer) error) Requirement {
	r := Requirement{text: text, met: met}
	if met == nil {
		r.err = errors.New("Check needs a function")
	}
	return r
}

// AllOf is met if all of the requirements are.
func AllOf(all ...Requirement) Requirement {
	all = slices.Clone(all)
	return combine(" and ", all, func(ctx context.Context, p *namedpipe.Peer) error {
		for _, r := range all {
			if err := r.check(ctx, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// AnyOf is met if one of the requirements is.
func AnyOf(any ...Requirement) Requirement {
	any = slices.Clone(any)
	return combine(" or ", any, func(ctx context.Context, p *namedpipe.Peer) error {
		last := errNotMet
		for _, r := range any {
			err := r.check(ctx, p)
			if err == nil {
				return nil
			}
			last = err
		}
		return last
	})
}

func combine(word string, parts []Requirement, met func(context.Context, *namedpipe.Peer) error) Requirement {
	r := Requirement{met: met}
	texts := make([]string, len(parts))
	for i, part := range parts {
		texts[i] = part.String()
		r.err = errors.Join(r.err, part.err)
	}
	r.text = strings.Join(texts, word)
	if len(parts) == 0 {
		r.err = errors.New("AllOf and AnyOf need at least one requirement")
		r.met = nil
	}
	return r
}

func (r Requirement) check(ctx context.Context, p *namedpipe.Peer) error {
	if r.met == nil {
		return errNotMet
	}
	return r.met(ctx, p)
}
