package namedpipe

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// openSearch opens a folder for lookups in it, which need no permission to read it.
const openSearch = unix.O_PATH

// shortPath returns a path of the folder that fits into a socket's address. It is
// valid in this process only.
func (p *private) shortPath() string { return "/proc/self/fd/" + strconv.Itoa(p.fd) }

func renameNoReplace(olddir int, old string, newdir int, new string) error {
	return unix.Renameat2(olddir, old, newdir, new, unix.RENAME_NOREPLACE)
}
