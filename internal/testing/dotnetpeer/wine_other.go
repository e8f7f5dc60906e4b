//go:build !windows

package dotnetpeer

// UnderWine tells that the system is Wine and not Windows: never, here.
func UnderWine() bool { return false }
