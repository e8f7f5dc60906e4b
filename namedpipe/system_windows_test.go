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

// openHandles is the number of handles this process has open.
func openHandles(t testing.TB) int {
	t.Helper()
	var n uint32
	ok, _, err := windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessHandleCount").
		Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n)))
	if ok == 0 {
		t.Fatal(err)
	}
	return int(n)
}
