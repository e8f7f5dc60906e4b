package dotnetpeer

import "golang.org/x/sys/windows"

// UnderWine reports whether the system is Wine and not Windows, by the one
// function that its ntdll has and Windows's has not.
func UnderWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}
