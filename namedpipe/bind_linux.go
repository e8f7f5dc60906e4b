package namedpipe

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// openSearch opens a folder to look things up in it, which asks for no right to
// read it.
const openSearch = unix.O_PATH

// shortPath is a path of the folder that fits into a socket's address, for this
// process alone.
func (p *private) shortPath() string { return "/proc/self/fd/" + strconv.Itoa(p.fd) }

func renameNoReplace(olddir int, old string, newdir int, new string) error {
	return unix.Renameat2(olddir, old, newdir, new, unix.RENAME_NOREPLACE)
}
