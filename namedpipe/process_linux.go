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
	cred.look()
	if hold < 0 {
		cred.birth, _ = birthOf(cred.pid)
		return
	}
	defer unix.Close(hold)
	if pidfs() {
		cred.birth = inode(hold)
	} else {
		cred.birth, _ = startTime(cred.pid)
	}
	// While it runs nobody else has its number.
	ended, err := hasEnded(hold)
	cred.proven = err == nil && !ended
	if ended { // who knows whose program that was
		cred.program, cred.file = "", nil
	}
}

// look notes which program the process runs. The text of the link in /proc is
// for people: in a mount namespace of its own a process can have any file at any
// path.
func (cred *credentials) look() {
	if !ownProc() {
		return
	}
	link := "/proc/" + strconv.Itoa(cred.pid) + "/exe"
	var buf [1024]byte
	if n, err := unix.Readlink(link, buf[:]); err == nil && n < len(buf) {
		cred.program = string(buf[:n])
		cred.file, _ = os.Stat(link)
	}
}

// ownProc reports whether the numbers in /proc are those of this process's own
// pid namespace, as the kernel's credentials are. Another's /proc shows other
// processes under the same numbers.
var ownProc = sync.OnceValue(func() bool {
	self, err := os.Readlink("/proc/self")
	return err == nil && self == strconv.Itoa(os.Getpid())
})

// pidfs reports whether each process has an inode that no other process gets until the
// system restarts: from Linux 6.9 on, unless a sandbox forbids the calls.
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
	if ended, err := hasEnded(fd); ended || err != nil {
		return 0, err
	}
	return inode(fd), nil
}

// hasEnded reports whether the process of a pidfd has ended. Its parent may not
// have been told yet.
func hasEnded(pidfd int) (bool, error) {
	fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return n > 0, err
}

// startTime is when the process was started, in clock ticks since the system
// was, or 0 if there is no such process: field 22 of proc(5)'s stat, counted
// from behind the command's name, which may hold anything.
func startTime(pid int) (uint64, error) {
	if !ownProc() {
		return 0, errors.ErrUnsupported
	}
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
