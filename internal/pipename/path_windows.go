package pipename

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// Path returns the full path of the pipe that a name means on this system.
func Path(name string) (string, error) { return windowsPath(name) }

var procWaitNamedPipe = windows.NewLazySystemDLL("kernel32.dll").NewProc("WaitNamedPipeW")

// Find looks for the pipe at path without opening it, which would take an
// instance from a client. It returns nil if an instance is free, ERROR_SEM_TIMEOUT
// if all are taken, and ERROR_FILE_NOT_FOUND if there is no pipe.
func Find(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	const shortest = 1 // ms; 0 means the pipe's own default
	if ok, _, err := procWaitNamedPipe.Call(uintptr(unsafe.Pointer(name)), shortest); ok == 0 {
		return err
	}
	return nil
}
