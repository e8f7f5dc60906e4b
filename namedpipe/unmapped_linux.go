package namedpipe

import (
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

// A user namespace has numbers for some users and groups only. All the others
// show up as one number, by default 65534, which may also be that of somebody
// who has one. Where that can be, the number says nothing.

// ambiguous caches what unmapped has found.
var ambiguous atomic.Pointer[[2]int]

// unmapped returns the uid and the gid that may stand for anybody, or -1 where
// every user and every group is mapped, as in the first user
// namespace.
func unmapped() (uid, gid int) {
	if ids := ambiguous.Load(); ids != nil {
		return ids[0], ids[1]
	}
	uid, uerr := overflow("uid")
	gid, gerr := overflow("gid")
	if uerr == nil && gerr == nil {
		ambiguous.Store(&[2]int{uid, gid})
	}
	return uid, gid
}

// overflow is unmapped for one kind of id. Beside an error it returns the usual
// number.
func overflow(kind string) (int, error) {
	const usual = 65534
	text, err := os.ReadFile("/proc/self/" + kind + "_map")
	if errors.Is(err, fs.ErrNotExist) {
		if _, serr := os.Lstat("/proc/self/status"); serr == nil {
			return unknownID, nil // a kernel without user namespaces
		}
	}
	if err != nil {
		return usual, err
	}
	// "0 0 4294967295": all that there are.
	if m := strings.Fields(string(text)); len(m) == 3 && m[0] == "0" && m[2] == "4294967295" {
		return unknownID, nil
	}
	text, err = os.ReadFile("/proc/sys/kernel/overflow" + kind)
	if err != nil {
		return usual, nil // a container may hide it, and nobody changes it
	}
	return strconv.Atoi(strings.TrimSpace(string(text)))
}
