package namedpipe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

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
	var buf [1024]byte
	n, err := unix.Readlink("/proc/"+strconv.Itoa(cred.pid)+"/exe", buf[:])
	if err == nil && n < len(buf) {
		cred.program = string(buf[:n])
	}
	if hold < 0 {
		cred.birth, _ = startTime(cred.pid)
		return
	}
	defer unix.Close(hold)
	// Still running, so the number was its own while the link was read.
	err = unix.PidfdSendSignal(hold, 0, nil, 0)
	cred.proven = err == nil || errors.Is(err, syscall.EPERM)
	if pidfs() {
		cred.birth = inode(hold)
	} else {
		cred.birth, _ = startTime(cred.pid)
	}
}

// pidfs tells whether each process has an inode that no other has until the
// system starts anew: from Linux 6.9 on, and if a sandbox doesn't forbid to ask.
var pidfs = sync.OnceValue(func() bool {
	const magic = 0x50494446 // PIDFS_MAGIC of linux/magic.h
	self, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return false
	}
	defer unix.Close(self)
	var st unix.Statfs_t
	return unix.Fstatfs(self, &st) == nil && st.Type == magic
})

func inode(fd int) uint64 {
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0
	}
	return st.Ino
}

// birthOf is what the process that has the number now would have as its
// Peer.birth; 0 if no process has it. Reading the start time from /proc costs
// several times what the inode does.
func birthOf(pid int) (uint64, error) {
	if !pidfs() {
		return startTime(pid)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		return 0, nil
	case err != nil:
		return 0, err
	}
	defer unix.Close(fd)
	// Readable once the process has ended, though its parent may not know yet.
	ended := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if n, err := unix.Poll(ended, 0); err == nil && n > 0 {
		return 0, nil
	}
	return inode(fd), nil
}

// startTime is when the process was started, in clock ticks since the system
// was, or 0 if there is no such process: field 22 of proc(5)'s stat, counted
// from behind the command's name, which may hold anything.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 20 {
		return 0, errors.ErrUnsupported
	}
	if fields[0] == "Z" || fields[0] == "X" {
		return 0, nil // a zombie runs no more
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
