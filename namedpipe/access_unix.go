//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// rule is Access on a system with user and group ids.
type rule struct {
	mode       fs.FileMode
	gid        int // the socket's group, or -1 for what the system gives it
	anyone     bool
	uids, gids []int // who is allowed; the first uid is the server's own
	denyUIDs   []int
	denyGIDs   []int
}

func (a Access) describe() (string, error) {
	r, err := a.rule()
	if err != nil {
		return "", err
	}
	return r.String(), nil
}

// rule translates the access; what this system doesn't support is an error.
func (a Access) rule() (rule, error) {
	who := a.who()
	for _, not := range []struct {
		asked bool
		what  string
	}{
		{who&AppContainers != 0, "AppContainers"}, {len(a.Packages) > 0, "Packages"}, {who&LowIntegrity != 0, "LowIntegrity"},
		{a.SDDL != "", "SDDL"}, {a.Remote, "Remote"},
	} {
		if not.asked {
			return rule{}, unsupported("ListenConfig.Access." + not.what + " is for Windows only")
		}
	}
	r := rule{gid: -1, uids: []int{os.Geteuid()}, anyone: who&(LocalUsers|Everyone) != 0}
	if who&Administrators != 0 && r.uids[0] != 0 {
		r.uids = append(r.uids, 0)
	}
	var err error
	ids := func(to *[]int, names []string, find func(string) (int, error)) {
		for _, name := range names {
			id, ferr := find(name)
			if ferr != nil {
				err = errors.Join(err, ferr)
				continue
			}
			*to = append(*to, id)
		}
	}
	ids(&r.uids, a.Users, userID)
	ids(&r.gids, a.Groups, groupID)
	for _, name := range a.Deny {
		uid, uerr := userID(name)
		gid, gerr := groupID(name)
		if uerr != nil && gerr != nil {
			err = errors.Join(err, uerr)
		}
		if uerr == nil {
			r.denyUIDs = append(r.denyUIDs, uid)
		}
		if gerr == nil {
			r.denyGIDs = append(r.denyGIDs, gid)
		}
	}
	if err != nil {
		return rule{}, err
	}
	r.fence()
	if !canAskPeer && (r.mode != 0o600 && !r.anyone || len(a.Deny) > 0 || slices.Contains(r.uids, 0) && os.Geteuid() != 0) {
		return rule{}, unsupported("this system doesn't report who a client is, so ListenConfig.Access can't name users or groups")
	}
	return r, nil
}

// fence chooses the narrowest mode that admits everyone whom the rule admits: a mode
// distinguishes one user, one group and all others. It doesn't apply to root.
func (r *rule) fence() {
	others := slices.ContainsFunc(r.uids, func(uid int) bool { return uid != 0 && uid != r.uids[0] })
	switch {
	case r.anyone || others || len(r.gids) > 1:
		r.mode = 0o666
	case len(r.gids) == 1:
		r.mode, r.gid = 0o660, r.gids[0]
	default:
		r.mode = 0o600
	}
}

// admits checks a client's credentials against the rule and returns nil if they
// pass.
func (r *rule) admits(c *credentials) error {
	in := func(gids []int) bool {
		return slices.ContainsFunc(c.groups, func(g int) bool { return slices.Contains(gids, g) })
	}
	switch {
	case c.uid == r.uids[0]:
		return nil
	case slices.Contains(r.denyUIDs, c.uid) || in(r.denyGIDs):
		return errors.New("it is denied")
	case c.uid == unknownID && len(r.denyUIDs) > 0, c.partial && len(r.denyGIDs) > 0:
		return errors.New("the system doesn't report its user and all its groups, so it may be one that is denied")
	case r.anyone, slices.Contains(r.uids, c.uid), in(r.gids):
		return nil
	case c.uid == unknownID && r.mode == 0o600:
		return nil // the socket's mode has kept everybody else out
	}
	return errors.New("it is not allowed")
}

func (r *rule) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mode %04o", r.mode)
	if r.gid >= 0 {
		fmt.Fprintf(&b, ", group %d", r.gid)
	}
	if r.anyone {
		b.WriteString(", any uid")
	} else {
		list(&b, "uid", r.uids)
		list(&b, "gid", r.gids)
	}
	list(&b, "not uid", r.denyUIDs)
	list(&b, "not gid", r.denyGIDs)
	return b.String()
}

func list(b *strings.Builder, what string, ids []int) {
	for _, id := range ids {
		fmt.Fprintf(b, ", %s %d", what, id)
	}
}
