package namedpipe

import (
	"net"
	"runtime"

	"github.com/grpcpipe/grpcpipe/internal/pipename"
)

// Addr is the address of a pipe. Its methods are safe for concurrent use.
type Addr struct {
	path string
}

var _ net.Addr = (*Addr)(nil)

// Network returns "pipe" on Windows and "unix" elsewhere.
func (a *Addr) Network() string {
	if runtime.GOOS == "windows" {
		return "pipe"
	}
	return "unix"
}

// String returns the full path: on Windows it begins with \\.\pipe\; elsewhere it
// is the path of the socket.
func (a *Addr) String() string {
	if a == nil {
		return "<nil>"
	}
	return a.path
}

// ResolveAddr returns the address that a name stands for. It does not check
// whether such a pipe exists. These spellings mean the same pipe:
//
//	MyPipe
//	\\.\pipe\MyPipe
//	//./pipe/MyPipe       (the prefix in any case)
//
// On Windows LOCAL\MyPipe is a pipe of the AppContainer that the process is in
// (see [AppContainers] for its name outside), and only administrators can make
// ProtectedPrefix\Administrators\MyPipe; elsewhere both are refused. Off Windows a
// rooted path such as /run/me/my.sock is used as it is, and any other name is the
// file CoreFxPipe_ + name in $TMPDIR, or in /tmp if that is not set, as in .NET.
//
// ResolveAddr returns an error that matches fs.ErrInvalid for a name that is
// empty, "anonymous", on another machine or not UTF-8, that has a NUL, a slash,
// or a part that Windows would change (. and .., or a dot or space at the end),
// or that is longer than the system allows: 256 UTF-16 units with the prefix on
// Windows; elsewhere the size of a socket's address, 107 bytes on Linux and 103 on
// macOS.
func ResolveAddr(name string) (*Addr, error) {
	addr, err := resolve(name)
	if err != nil {
		return nil, opError("resolve", &Addr{path: name}, err)
	}
	return addr, nil
}

func resolve(name string) (*Addr, error) {
	path, err := pipename.Path(name)
	if err != nil {
		return nil, err
	}
	return &Addr{path: path}, nil
}
