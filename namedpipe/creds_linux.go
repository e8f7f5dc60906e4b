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
		cred = credentials{pid: int(u.Pid), uid: idNumber(u.Uid)}
		// gVisor and some containers' filters don't know this option. Then no
		// rule that names a group is met, and the others are not touched.
		if cred.groups, err = peerGroups(fd); err != nil {
			cred.partial = true
		}
		if gid := idNumber(u.Gid); !slices.Contains(cred.groups, gid) {
			cred.groups = append(cred.groups, gid)
		}
		cred.forgetUnmapped()
		return nil
	})
	return cred, err
}

// forgetUnmapped takes out the numbers that may stand for anybody.
func (cred *credentials) forgetUnmapped() {
	uid, gid := unmapped()
	if cred.uid == uid {
		cred.uid = unknownID
	}
	known := len(cred.groups)
	cred.groups = slices.DeleteFunc(cred.groups, func(g int) bool { return g == gid || g == unknownID })
	cred.partial = cred.partial || len(cred.groups) < known
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
