package namedpipe

import (
	"os"

	"golang.org/x/sys/unix"
)

var inotify = unix.InotifyInit1 // replaced by a test

// changes sends a value when the file or its folder may have been moved or
// removed, until end is called. The channel is nil if the system won't tell, for
// instance because the user has too many watches.
func changes(path string) (news <-chan struct{}, end func()) {
	fd, err := inotify(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, func() {}
	}
	const self = unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
	// A file that has lost one of its names is a file with another attribute.
	_, err = unix.InotifyAddWatch(fd, path, self|unix.IN_ATTRIB|unix.IN_DONT_FOLLOW)
	if err == nil {
		_, err = unix.InotifyAddWatch(fd, parent(path), self|unix.IN_ONLYDIR)
	}
	if err != nil {
		unix.Close(fd)
		return nil, func() {}
	}
	f := os.NewFile(uintptr(fd), "inotify")
	c := make(chan struct{}, 1)
	go func() {
		var events [4096]byte
		for {
			if _, err := f.Read(events[:]); err != nil {
				return // closed by end
			}
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}()
	// The kernel takes some 10 ms for it, which no Close of a listener should.
	return c, func() { go f.Close() }
}
