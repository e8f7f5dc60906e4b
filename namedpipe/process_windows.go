package namedpipe

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/windows"
)

func executableOf(pid int) string {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if pid == 0 || err != nil {
		return ""
	}
	defer windows.CloseHandle(process)
	for size := uint32(1024); ; size = 1 << 15 { // the longest path there is
		buf, n := make([]uint16, size), size
		err := windows.QueryFullProcessImageName(process, 0, &buf[0], &n)
		if err == nil {
			return windows.UTF16ToString(buf[:n])
		}
		if err != windows.ERROR_INSUFFICIENT_BUFFER || size == 1<<15 {
			return ""
		}
	}
}

// birthOf is when the process was started, in units of 100 ns, or 0 if there is
// no such process.
func birthOf(pid int) (uint64, error) {
	process, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if pid == 0 || errors.Is(err, windows.ERROR_INVALID_PARAMETER) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer windows.CloseHandle(process)
	const stillActive = 259
	var code uint32
	if err := windows.GetExitCodeProcess(process, &code); err != nil || code != stillActive {
		return 0, err
	}
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(process, &created, &exited, &kernel, &user); err != nil {
		return 0, err
	}
	return uint64(created.HighDateTime)<<32 | uint64(created.LowDateTime), nil
}

// sameFile opens both files unless their names agree. It refuses UNC and device
// paths: opening one sends this user's credentials to a machine of somebody
// else's choice, or reads from a device.
func sameFile(a, b string) bool {
	if hasServerOrDevice(a) || hasServerOrDevice(b) {
		return false
	}
	if strings.EqualFold(a, b) {
		return a != ""
	}
	fa, err := os.Stat(a)
	if err != nil {
		return false
	}
	fb, err := os.Stat(b)
	return err == nil && os.SameFile(fa, fb)
}

func (p *Peer) runs(path string) bool { return sameFile(p.Executable, path) }

// hasServerOrDevice reports whether a path begins as \\server\share, \\?\, \\.\ or
// \??\ do.
func hasServerOrDevice(path string) bool {
	return len(path) >= 2 && os.IsPathSeparator(path[0]) && (os.IsPathSeparator(path[1]) || path[1] == '?')
}
