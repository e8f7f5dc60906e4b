//go:build freebsd || netbsd || openbsd || dragonfly

package namedpipe

import "golang.org/x/sys/unix"

const openSearch = unix.O_RDONLY

func (p *private) shortPath() string { return p.path }

// renameNoReplace is for systems that have no other way than a link.
func renameNoReplace(int, string, int, string) error { return unix.ENOTSUP }
