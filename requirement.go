package grpcpipe

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// A Requirement is what a Policy asks of the process that makes a call. The zero
// Requirement refuses everybody.
type Requirement struct {
	text string
	met  func(context.Context, *namedpipe.Peer) error
	err  error // why it can't be had, for NewPolicy
}

// String says what is required, in the words that a refused caller reads.
func (r Requirement) String() string {
	if r.met == nil {
		return "nobody may call it"
	}
	return r.text
}

var (
	errNotMet    = errors.New("not met")
	errAnonymous = errors.New("the caller is anonymous: it must connect with the level Identification, " +
		"in Go namedpipe.Dialer.ImpersonationLevel, in .NET the NamedPipeClientStream's TokenImpersonationLevel.Identification")
)

// require makes a requirement of a condition on a user that is proven.
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

// AnyPeer is met by whoever the listener lets in.
func AnyPeer() Requirement {
	return require("any process that may connect", func(*namedpipe.Peer) bool { return true })
}

// SameUser is met by the user that this process runs as. An anonymous client
// meets it if the listener lets in nobody else.
func SameUser() Requirement {
	return require("the user that the server runs as", func(p *namedpipe.Peer) bool { return p.SameUser })
}

// Administrators is met by who acts as administrator at this moment: on Windows
// an elevated member of Administrators, elsewhere root.
func Administrators() Requirement {
	return require("an administrator (elevated)", func(p *namedpipe.Peer) bool {
		return p.UserProven && p.Administrator && p.Elevated
	})
}

// User is met by one user, given by account name or SID, off Windows by name or
// number. The name is looked up once, now.
func User(name string) Requirement {
	account, err := namedpipe.LookupUser(name)
	r := require("user "+name, func(p *namedpipe.Peer) bool { return p.UserProven && p.User.ID == account.ID })
	r.err = err
	return r
}

// Group is met by the members of one group, given like User's. On Windows a
// group that UAC has taken from the client's token doesn't count.
func Group(name string) Requirement {
	account, err := namedpipe.LookupGroup(name)
	r := require("a member of group "+name, func(p *namedpipe.Peer) bool { return p.UserProven && slices.Contains(p.Groups, account.ID) })
	r.err = err
	return r
}

// Session is met by processes of one Windows session, such as the one at the
// console.
func Session(id int) Requirement {
	return require(fmt.Sprintf("a process of session %d", id), func(p *namedpipe.Peer) bool { return p.UserProven && p.Session == id })
}

// HintExecutable is met by a program, given by its full path. It is a hint
// unless Peer.PIDProven is set: another process may have taken the number by
// the time it was looked at, and a program does what its user's debugger says.
// Use it beside another requirement, not alone.
func HintExecutable(path string) Requirement {
	return require("the program "+path, func(p *namedpipe.Peer) bool {
		return p.Runs(path)
	})
}

// HintPID is met by one process, such as a child that the server started. It is
// a hint as HintExecutable is.
func HintPID(pid int) Requirement {
	return require(fmt.Sprintf("process %d", pid), func(p *namedpipe.Peer) bool { return p.PID == pid && pid != 0 })
}

// Check is met if met returns nil. The text completes "requires …" for the
// caller; met's error goes to the log only. It may be called by many goroutines
// at once, for every call.
func Check(text string, met func(context.Context, *namedpipe.Peer) error) Requirement {
	r := Requirement{text: text, met: met}
	if met == nil {
		r = Requirement{text: text, met: func(context.Context, *namedpipe.Peer) error { return errNotMet }, err: errors.New("grpcpipe: Check without a function")}
	}
	return r
}

// AllOf is met if all of the requirements are.
func AllOf(all ...Requirement) Requirement {
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
		r.err = errors.New("grpcpipe: AllOf and AnyOf need at least one requirement")
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
