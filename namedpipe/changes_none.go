//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

// changes is for systems that tell of what becomes of a file; here listeners
// look.
func changes(string) (news <-chan struct{}, end func()) { return nil, func() {} }
