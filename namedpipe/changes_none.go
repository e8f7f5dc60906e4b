//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

// changes returns nil: on these systems listeners check at intervals.
func changes(string) (news <-chan struct{}, end func()) { return nil, func() {} }
