package cli

import "golang.org/x/sys/windows"

// privately is for systems where a file's mode says who may use it. Here a new
// socket has the access of its folder.
func privately[T any](make func() (T, error)) (T, error) { return make() }

// The syscall package's errors of these names are numbers of Go's own here, which
// no call returns.
const (
	errInUse   = windows.WSAEADDRINUSE
	errRefused = windows.WSAECONNREFUSED // of a socket on which nobody listens
)
