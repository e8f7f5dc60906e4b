//go:build !windows

package namedpipe

import (
	"os"
	"runtime"
	"strings"
)

const network = "unix"

// maxSocketPath is sizeof(sun_path) less the NUL that ends it.
func maxSocketPath() int {
	if runtime.GOOS == "linux" {
		return 107
	}
	return 103
}

func pathOf(name string) (string, error) {
	dir, err := tempDir()
	if err != nil && !rooted(name) {
		return "", err
	}
	return unixPath(name, dir, maxSocketPath())
}

// tempDir is .NET's Path.GetTempPath, from which os.TempDir differs on Android,
// as a path from the root that begins with one slash: what a name resolves to
// must be a name of the same socket.
func tempDir() (string, error) {
	dir := os.Getenv("TMPDIR")
	switch {
	case dir == "":
		return "/tmp", nil
	case strings.HasPrefix(dir, "/"):
		return "/" + strings.TrimLeft(dir, "/"), nil
	}
	here, err := os.Getwd()
	if err != nil {
		return "", explain(err, "TMPDIR is relative and the working directory can't be found", "set TMPDIR to a path that begins with a slash")
	}
	return strings.TrimSuffix(here, "/") + "/" + dir, nil
}
