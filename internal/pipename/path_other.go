//go:build !windows

package pipename

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Path returns the full path of the socket that a name means on this system.
func Path(name string) (string, error) { return unixPath(name, Folder, MaxPath()) }

// MaxPath returns the size of a socket's address: that of sun_path, less the NUL
// that ends it.
func MaxPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

// Folder returns the folder of the sockets that names mean: .NET's
// Path.GetTempPath, from which os.TempDir differs on Android, as a path from the
// root that begins with one slash, so that the path of a name is a name of the
// same socket.
func Folder() (string, error) {
	dir := os.Getenv("TMPDIR")
	switch {
	case dir == "":
		return "/tmp", nil
	case strings.HasPrefix(dir, "/"):
		return "/" + strings.TrimLeft(dir, "/"), nil
	}
	here, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("TMPDIR is relative and the working directory can't be found (%w): set TMPDIR to a path that begins with a slash", err)
	}
	return strings.TrimSuffix(here, "/") + "/" + dir, nil
}
