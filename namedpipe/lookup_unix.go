//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"fmt"
	"io/fs"
	"os/user"
	"strconv"
	"sync"
	"time"
)

func lookupUser(name string) (Account, error) {
	uid, err := userID(name)
	if err != nil {
		return Account{}, err
	}
	return userOf(uid), nil
}

func lookupGroup(name string) (Account, error) {
	gid, err := groupID(name)
	if err != nil {
		return Account{}, err
	}
	a := Account{ID: strconv.Itoa(gid)}
	if g, err := user.LookupGroupId(a.ID); err == nil {
		a.Name = g.Name
	}
	return a, nil
}

// userID finds a user by name or number.
func userID(name string) (int, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int(id), nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return 0, explainAs(fs.ErrInvalid, err, fmt.Sprintf("there is no user %q", name), "write a user's name or number")
	}
	return strconv.Atoi(u.Uid)
}

// groupID finds a group by name or number.
func groupID(name string) (int, error) {
	if id, err := strconv.ParseUint(name, 10, 32); err == nil {
		return int(id), nil
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return 0, explainAs(fs.ErrInvalid, err, fmt.Sprintf("there is no group %q", name), "write a group's name or number")
	}
	return strconv.Atoi(g.Gid)
}

// names caches the names of users: a lookup may read files or ask a directory service,
// and servers need the name at each handshake.
var names sync.Map // uid -> userName

// A userName is a cached name. That a user has no name is kept for a minute, since the
// user may get one.
type userName struct {
	name  string
	until time.Time // zero for ever
}

func userOf(uid int) Account {
	a := Account{ID: strconv.Itoa(uid)}
	if known, ok := names.Load(uid); ok {
		if n := known.(userName); n.until.IsZero() || time.Now().Before(n.until) {
			a.Name = n.name
			return a
		}
	}
	n := userName{until: time.Now().Add(time.Minute)}
	if u, err := user.LookupId(a.ID); err == nil {
		n = userName{name: u.Username}
	}
	names.Store(uid, n)
	a.Name = n.name
	return a
}
