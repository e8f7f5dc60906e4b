//go:build !windows

package dotnetpeer

func underWine() bool { return false }
