package follow

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

var procWaitNamedPipe = windows.NewLazySystemDLL("kernel32.dll").NewProc("WaitNamedPipeW")

// A sighting is what can be seen of a pipe without opening it.
type sighting struct {
	there bool
}

// sight finds out whether the pipe has an instance, free or not, by waiting for a
// free one for 1 ms, the least there is (0 is the pipe's own default). That opens
// none and takes none from a client.
func sight(path string) sighting {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return sighting{}
	}
	ok, _, err := procWaitNamedPipe.Call(uintptr(unsafe.Pointer(name)), 1)
	return sighting{there: ok != 0 || err == windows.ERROR_SEM_TIMEOUT}
}

// isNews reports whether the pipe is there. Its name lives only as long as an
// instance, so that is news if it was missing.
func (s sighting) isNews(sighting) bool { return s.there }
