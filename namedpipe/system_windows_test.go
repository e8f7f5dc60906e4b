package namedpipe_test

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"
)

// isWine tells Wine by the one function that its ntdll has and Windows's has not.
func isWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}

// openHandles is the number of handles this process has open. Wine's
// GetProcessHandleCount always answers 0.
func openHandles(t testing.TB) int {
	t.Helper()
	if !isWine() {
		var n uint32
		ok, _, err := kernel32.NewProc("GetProcessHandleCount").
			Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n)))
		if ok == 0 {
			t.Fatal(err)
		}
		return int(n)
	}
	return len(handleFlags())
}

// handleFlags asks for each possible handle: they are small multiples of 4.
func handleFlags() map[uintptr]uint32 {
	known := kernel32.NewProc("GetHandleInformation")
	open := map[uintptr]uint32{}
	for h, missing := uintptr(4), 0; missing < 2000; h += 4 {
		var flags uint32
		if ok, _, _ := known.Call(h, uintptr(unsafe.Pointer(&flags))); ok != 0 {
			open[h], missing = flags, 0
		} else {
			missing++
		}
	}
	return open
}
