package namedpipe

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
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

// process adds what is known of the process behind the number. A process id
// alone is a hint, since the number may be another's by now; SO_PEERPIDFD, from
// Linux 6.5 on, is a hold on the process itself.
func (cred *credentials) process(c *net.UnixConn) {
	if cred.pid == 0 {
		return
	}
	hold := -1
	control(c, func(fd int) error {
		if pidfd, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PEERPIDFD); err == nil {
			hold = pidfd
		}
		return nil
	})
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", cred.pid))
	if err == nil {
		cred.program = program
	}
	if hold < 0 {
		return
	}
	defer unix.Close(hold)
	// Still running, so the number was its own while the link was read.
	err = unix.PidfdSendSignal(hold, 0, nil, 0)
	cred.proven = err == nil || errors.Is(err, syscall.EPERM)
}

// startTime is when the process was started, in clock ticks since the system
// was, or 0 if there is no such process: field 22 of proc(5)'s stat, counted
// from behind the command's name, which may hold anything.
func startTime(pid int) uint64 {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return 0 // a zombie runs no more
	}
	ticks, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return 0
	}
	return ticks
}
