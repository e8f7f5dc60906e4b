package namedpipe

import "golang.org/x/sys/unix"

const openSearch = unix.O_RDONLY

func (p *private) shortPath() string { return p.path }

func renameNoReplace(olddir int, old string, newdir int, new string) error {
	return unix.RenameatxNp(olddir, old, newdir, new, unix.RENAME_EXCL)
}
