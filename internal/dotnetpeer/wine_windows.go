package dotnetpeer

import "golang.org/x/sys/windows"

// underWine tells Wine by the one function that its ntdll has and Windows's
// has not.
func underWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}
