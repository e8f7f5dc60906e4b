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

// sight asks whether the pipe has an instance, free or not. Waiting for one for
// the least time there is (0 would mean the pipe's own default) opens none and
// takes none from a client.
func sight(path string) sighting {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return sighting{}
	}
	ok, _, err := procWaitNamedPipe.Call(uintptr(unsafe.Pointer(name)), 1)
	return sighting{there: ok != 0 || err == windows.ERROR_SEM_TIMEOUT}
}

// isNews: the name of a pipe lives only as long as an instance of it, so its
// being there is news to whom it was missing.
func (s sighting) isNews(sighting) bool { return s.there }
