package namedpipe

import (
	"net"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

const canAskPeer = true

// credentialsOf asks for what the rule needs.
func credentialsOf(c *net.UnixConn) (cred credentials, err error) {
	err = control(c, func(fd int) error {
		u, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			return os.NewSyscallError("getsockopt SO_PEERCRED", err)
		}
		groups, err := peerGroups(fd)
		if err != nil {
			return os.NewSyscallError("getsockopt SO_PEERGROUPS", err)
		}
		cred = credentials{pid: int(u.Pid), uid: int(int32(u.Uid)), groups: groups}
		if gid := int(int32(u.Gid)); !slices.Contains(cred.groups, gid) {
			cred.groups = append(cred.groups, gid)
		}
		return nil
	})
	return cred, err
}

// peerGroups are the supplementary groups; x/sys has no call for a list.
func peerGroups(fd int) ([]int, error) {
	raw := make([]uint32, 64)
	for {
		size := uint32(len(raw) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&raw[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == unix.ERANGE && int(size/4) > len(raw):
			raw = make([]uint32, size/4)
		case errno != 0:
			return nil, errno
		default:
			groups := make([]int, size/4)
			for i, g := range raw[:len(groups)] {
				groups[i] = int(g)
			}
			return groups, nil
		}
	}
}
