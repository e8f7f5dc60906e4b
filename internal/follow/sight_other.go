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

// isNews reports whether s is another server's socket than old. A server that was
// killed leaves its file behind, so the name alone says nothing. The file of a
// socket has the time at which it was made for good; with the inode that tells
// it from a successor that got the same inode.
func (s sighting) isNews(old sighting) bool {
	if !s.there {
		return false
	}
	return !old.there || !os.SameFile(s.file, old.file) || !s.file.ModTime().Equal(old.file.ModTime())
}
