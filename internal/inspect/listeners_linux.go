package inspect

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// A listening is a socket on which a process of this network namespace listens.
type listening struct {
	inode uint32 // of its file
	path  string // as it was bound, except for the folder that namedpipe binds it in
}

// states returns a function that returns the state of a socket by its path. It
// queries the kernel once, for all sockets.
func states() func(path string) string {
	all, err := listeners()
	if err != nil {
		return func(string) string { return Unknown }
	}
	known, names := map[listening]bool{}, map[string]bool{}
	for _, l := range all {
		base := filepath.Base(l.path)
		known[listening{l.inode, base}], names[base] = true, true
	}
	return func(path string) string {
		base := filepath.Base(path)
		if !names[base] && !names[pipename.ShortName] {
			return Stale // avoids a stat of every file
		}
		var st syscall.Stat_t
		if err := syscall.Stat(path, &st); err != nil {
			return Unknown
		}
		ino := uint32(st.Ino)
		if known[listening{ino, base}] || known[listening{ino, pipename.ShortName}] {
			return Listening
		}
		return Stale
	}
}

// The parts of the socket diagnosis protocol, see sock_diag(7), that are used
// here.
const (
	diagByFamily   = 20      // SOCK_DIAG_BY_FAMILY
	diagListen     = 1 << 10 // TCP_LISTEN as a bit of the states
	diagShow       = 1 | 2   // UDIAG_SHOW_NAME, UDIAG_SHOW_VFS
	diagRequestLen = syscall.NLMSG_HDRLEN + 24
	diagAnswerLen  = 16 // struct unix_diag_msg
	diagName       = 0  // UNIX_DIAG_NAME
	diagVFS        = 1  // UNIX_DIAG_VFS
)

// listeners returns the listening sockets of this network namespace that have a
// path. No privilege is needed.
func listeners() ([]listening, error) {
	fd, err := syscall.Socket(syscall.AF_NETLINK, syscall.SOCK_RAW|syscall.SOCK_CLOEXEC, syscall.NETLINK_INET_DIAG)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	defer syscall.Close(fd)
	timeout := syscall.Timeval{Sec: 1}
	if err := syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		return nil, os.NewSyscallError("setsockopt", err)
	}
	req := make([]byte, diagRequestLen)
	order := binary.NativeEndian
	order.PutUint32(req, diagRequestLen)
	order.PutUint16(req[4:], diagByFamily)
	order.PutUint16(req[6:], syscall.NLM_F_REQUEST|syscall.NLM_F_DUMP)
	req[syscall.NLMSG_HDRLEN] = syscall.AF_UNIX
	order.PutUint32(req[syscall.NLMSG_HDRLEN+4:], diagListen)
	order.PutUint32(req[syscall.NLMSG_HDRLEN+12:], diagShow)
	if err := syscall.Sendto(fd, req, 0, &syscall.SockaddrNetlink{Family: syscall.AF_NETLINK}); err != nil {
		return nil, os.NewSyscallError("sendto", err)
	}
	var all []listening
	buf := make([]byte, 64<<10)
	for {
		n, _, err := syscall.Recvfrom(fd, buf, 0)
		if err != nil {
			return nil, os.NewSyscallError("recvfrom", err)
		}
		messages, err := syscall.ParseNetlinkMessage(buf[:n])
		if err != nil {
			return nil, err
		}
		for _, m := range messages {
			switch m.Header.Type {
			case syscall.NLMSG_DONE:
				return all, nil
			case syscall.NLMSG_ERROR:
				return nil, syscall.ENOTSUP
			}
			if l, ok := parseListening(m.Data); ok {
				all = append(all, l)
			}
		}
	}
}

// parseListening reads one answer; ok is false for sockets without a path.
func parseListening(b []byte) (l listening, ok bool) {
	if len(b) < diagAnswerLen {
		return l, false
	}
	order := binary.NativeEndian
	for b = b[diagAnswerLen:]; len(b) >= 4; {
		size, kind := int(order.Uint16(b)), order.Uint16(b[2:])
		if size < 4 || size > len(b) {
			return l, false
		}
		value := b[4:size]
		switch {
		case kind == diagVFS && len(value) >= 4:
			l.inode, ok = order.Uint32(value), true
		case kind == diagName:
			l.path = strings.TrimRight(string(value), "\x00")
		}
		b = b[min((size+3)&^3, len(b)):]
	}
	l.path = pipename.CutTemp(l.path)
	return l, ok && strings.HasPrefix(l.path, "/")
}
