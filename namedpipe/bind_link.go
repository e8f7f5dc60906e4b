//go:build freebsd || netbsd || openbsd || dragonfly

package namedpipe

import "golang.org/x/sys/unix"

const openSearch = unix.O_RDONLY

func (p *private) shortPath() string { return p.path }

// renameNoReplace fails: these systems have no such call.
func renameNoReplace(int, string, int, string) error { return unix.ENOTSUP }
