package follow

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

const (
	fileDirectoryInformation = 1
	bufferSize               = 64 << 10
)

var procNtQueryDirectoryFile = windows.NewLazySystemDLL("ntdll.dll").NewProc("NtQueryDirectoryFile")

type system struct{}

func newSystem() Lister { return system{} }

// List reads the root of the file system of pipes, which opens like a folder and
// opens no pipe.
func (system) List(pattern string) ([]Entry, error) {
	root, err := windows.UTF16PtrFromString(pipename.Prefix)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(root, windows.GENERIC_READ,
		windows.FILE_SHARE_READ|windows.FILE_SHARE_WRITE|windows.FILE_SHARE_DELETE, nil, windows.OPEN_EXISTING, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("can't open the folder of pipes %s: %w", pipename.Prefix, err)
	}
	defer windows.CloseHandle(h)
	// The entries have 64-bit numbers, and the system wants them aligned.
	words := make([]uint64, bufferSize/8)
	buf := unsafe.Slice((*byte)(unsafe.Pointer(&words[0])), bufferSize)
	var all []Entry
	for restart := uintptr(1); ; restart = 0 {
		n, err := query(h, buf, restart)
		if errors.Is(err, windows.STATUS_NO_MORE_FILES) {
			return all, nil
		}
		if err != nil {
			return nil, listError(err)
		}
		if n == 0 {
			return all, nil
		}
		entries, err := parseDirectory(buf[:n])
		if err != nil {
			return nil, fmt.Errorf("the system's list of pipes can't be read: %w", err)
		}
		for _, e := range entries {
			if Match(pattern, e.Name) {
				all = append(all, e)
			}
		}
	}
}

// query reads as many entries as fit into buf and returns their size in bytes.
func query(h windows.Handle, buf []byte, restart uintptr) (int, error) {
	var iosb windows.IO_STATUS_BLOCK
	status, _, _ := procNtQueryDirectoryFile.Call(uintptr(h), 0, 0, 0,
		uintptr(unsafe.Pointer(&iosb)), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)),
		fileDirectoryInformation, 0, 0, restart)
	if status != 0 {
		return 0, windows.NTStatus(status)
	}
	return min(int(iosb.Information), len(buf)), nil
}

// listError explains why the pipes can't be listed, as under Wine.
func listError(err error) error {
	const invalidDeviceState = windows.NTStatus(0xC00000CB)
	if errors.Is(err, invalidDeviceState) || errors.Is(err, windows.STATUS_NOT_IMPLEMENTED) || errors.Is(err, windows.STATUS_NOT_SUPPORTED) {
		return fmt.Errorf("this system can't list pipes, as Wine 10 can't (%w): name the pipes, as in npipe:a,b: %w", err, errors.ErrUnsupported)
	}
	return fmt.Errorf("can't list the pipes in %s: %w", pipename.Prefix, err)
}
