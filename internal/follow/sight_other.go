//go:build !windows

package follow

import (
	"io/fs"
	"os"
)

// A sighting is what can be seen of a pipe without opening it.
type sighting struct {
	there bool
	file  fs.FileInfo
}

// sight looks at the file of the socket, or at what a symbolic link there leads
// to.
func sight(path string) sighting {
	file, err := os.Stat(path)
	return sighting{there: err == nil, file: file}
}

// isNews reports whether s shows another server's socket than old. A killed
// server leaves its file behind, so the name alone says nothing. The inode and the
// modification time, which a socket's file keeps, tell it from a successor.
func (s sighting) isNews(old sighting) bool {
	if !s.there {
		return false
	}
	return !old.there || !os.SameFile(s.file, old.file) || !s.file.ModTime().Equal(old.file.ModTime())
}
