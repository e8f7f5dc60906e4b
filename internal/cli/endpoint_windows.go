package cli

import "golang.org/x/sys/windows"

// privately is for systems where a file's mode says who may use it. Here a new
// socket has the access of its folder.
func privately[T any](make func() (T, error)) (T, error) { return make() }

// errInUse is not the syscall package's error of this name, which is a number of
// Go's own that no call returns.
const errInUse = windows.WSAEADDRINUSE
