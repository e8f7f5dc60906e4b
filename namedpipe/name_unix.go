//go:build !windows

package namedpipe

import (
	"os"
	"runtime"
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
	// os.TempDir differs from .NET's Path.GetTempPath on Android.
	dir := os.Getenv("TMPDIR")
	if dir == "" {
		dir = "/tmp"
	}
	return unixPath(name, dir, maxSocketPath())
}
