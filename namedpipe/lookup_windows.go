package namedpipe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/windows"
)

func lookupUser(name string) (Account, error) {
	sid, err := account(name)
	if err != nil {
		return Account{}, err
	}
	return accountOf(context.Background(), sid), nil
}

func lookupGroup(name string) (Account, error) { return lookupUser(name) }

// account finds the SID of an account given by name or SID. Names of domains and
// computers have SIDs too, but nobody's token has those: an entry for one would
// let nobody in and, worse, keep nobody out.
func account(name string) (*windows.SID, error) {
	const remedy = "write the account's name or its SID"
	if strings.HasPrefix(strings.ToUpper(name), "S-1-") {
		sid, err := windows.StringToSid(name)
		if err != nil {
			return nil, explainAs(fs.ErrInvalid, err, fmt.Sprintf("%q is not a SID", name), remedy)
		}
		return sid, mustBeAccount(name, sid, windows.SidTypeUser)
	}
	sid, _, kind, err := windows.LookupSID("", name)
	if err != nil {
		return nil, explainAs(fs.ErrInvalid, err, fmt.Sprintf("there is no account %q", name), remedy)
	}
	return sid, mustBeAccount(name, sid, kind)
}

// mustBeAccount makes an error unless a SID of the kind that the system says is
// one that tokens have.
func mustBeAccount(name string, sid *windows.SID, kind uint32) error {
	switch kind {
	case windows.SidTypeUser, windows.SidTypeGroup, windows.SidTypeAlias, windows.SidTypeWellKnownGroup:
		if !isDomain(sid) {
			return nil
		}
	}
	return &problem{
		text:   fmt.Sprintf("%q is not a user or group (domains, computers and labels are not): write DOMAIN\\NAME or the SID", name),
		causes: []error{fs.ErrInvalid},
	}
}

// isDomain reports whether a SID is that of a domain or computer, S-1-5-21 and
// three numbers, of one of the system's own domains, such as BUILTIN, S-1-5-32,
// and NT SERVICE, S-1-5-80, or of an integrity level, which no entry for
// accounts matches.
func isDomain(sid *windows.SID) bool {
	n := sid.SubAuthorityCount()
	switch sid.IdentifierAuthority() {
	case windows.SECURITY_NT_AUTHORITY:
		return n == 0 || n == 1 && (sid.SubAuthority(0) == 32 || sid.SubAuthority(0) == 80) || n == 4 && sid.SubAuthority(0) == 21
	case windows.SECURITY_MANDATORY_LABEL_AUTHORITY:
		return true
	}
	return n == 0
}

// To find a name or a SID can take seconds where a domain controller must be
// asked, so both are remembered: what was found forever, but a SID that a
// server is trusted for, like a failure, for a minute only.
var (
	names lookups // SID as text -> name
	sids  lookups // name -> SID as text
)

const (
	lookupKept = time.Minute
	nameWait   = time.Second // for a name that is only shown
)

type lookups struct{ known sync.Map } // string -> *lookup

// A lookup is one question to the system, which answers once.
type lookup struct {
	done chan struct{}
	found
}

type found struct {
	text  string
	err   error
	until time.Time // zero: forever
}

func (f *lookup) stale() bool {
	select {
	case <-f.done:
		return !f.until.IsZero() && time.Now().After(f.until)
	default:
		return false
	}
}

// get returns what is known for the key, or what ask finds. The system can't be
// made to stop looking; if the context ends first, the result comes too late for
// this caller, but is there for the next. Whoever comes meanwhile waits for the
// same answer: each question holds a thread.
func (l *lookups) get(ctx context.Context, key string, ask func() found) (string, error) {
	for {
		fresh := &lookup{done: make(chan struct{})}
		known, loaded := l.known.LoadOrStore(key, fresh)
		f := known.(*lookup)
		if loaded && f.stale() {
			l.known.CompareAndDelete(key, known)
			continue
		}
		if !loaded {
			go func() {
				f.found = ask()
				close(f.done)
			}()
		}
		select {
		case <-f.done:
			return f.text, f.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// accountOf adds to a SID its account's name, if the system finds one before the
// context ends and within a second.
func accountOf(ctx context.Context, sid *windows.SID) Account {
	ctx, cancel := context.WithTimeout(ctx, nameWait)
	defer cancel()
	a := Account{ID: sid.String()}
	a.Name, _ = names.get(ctx, a.ID, func() found {
		account, domain, _, err := sid.LookupAccount("")
		switch {
		case err != nil:
			return found{err: err, until: time.Now().Add(lookupKept)}
		case domain != "":
			account = domain + `\` + account
		}
		return found{text: account}
	})
	return a
}

// isAccount reports whether an account given by name or SID is the one with that
// SID.
func isAccount(ctx context.Context, name string, sid *windows.SID) (bool, error) {
	text, err := sids.get(ctx, name, func() found {
		f := found{until: time.Now().Add(lookupKept)}
		sid, err := account(name)
		if err != nil {
			f.err = err
		} else {
			f.text = sid.String()
		}
		return f
	})
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		err = explain(err, fmt.Sprintf("the context ended while the system looked for the account %q", name), "write its SID, which needs no lookup")
	}
	return err == nil && text == sid.String(), err
}
