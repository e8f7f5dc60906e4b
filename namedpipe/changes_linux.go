package namedpipe

import (
	"encoding/binary"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

var inotify = unix.InotifyInit1 // replaced by a test

// slowLook is the time between the checks that a listener makes even though the
// system reports changes. The reports cover the file and its folder, but not a folder
// further up that was moved, a symbolic link in the path that was changed, or a mount
// over the folder.
const slowLook = 2 * time.Second

// A notifier is the inotify instance that all listeners of this process share: a user
// has 128 for all programs. It waits on a thread of its own, since a pending timer of
// the runtime's makes each wait in the kernel more expensive.
type notifier struct {
	fd, wake int
	watches  map[int32][]chan<- struct{} // whom to notify, by watch descriptor
	users    map[chan<- struct{}][]int32 // and their watches
}

var (
	theNotifier   *notifier
	theNotifierMu sync.Mutex // of all notifiers' fields as well
)

// changes returns a channel that receives a value when the file or its folder may have
// been moved or removed, and every slowLook, until end is called. The channel is nil
// if the system can't report changes, for instance because the user has too many
// watches.
func changes(path string) (news <-chan struct{}, end func()) {
	theNotifierMu.Lock()
	defer theNotifierMu.Unlock()
	n := theNotifier
	if n == nil {
		if n = newNotifier(); n == nil {
			return nil, func() {}
		}
		theNotifier = n
		go n.run()
	}
	c := make(chan struct{}, 1)
	const self = unix.IN_MOVE_SELF | unix.IN_DELETE_SELF
	// A file that has lost one of its names is a file with another attribute.
	if !n.watch(path, self|unix.IN_ATTRIB|unix.IN_DONT_FOLLOW, c) || !n.watch(parent(path), self|unix.IN_ONLYDIR, c) {
		n.leave(c)
		return nil, func() {}
	}
	return c, func() {
		theNotifierMu.Lock()
		defer theNotifierMu.Unlock()
		n.leave(c)
	}
}

func newNotifier() *notifier {
	fd, err := inotify(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil
	}
	return &notifier{fd: fd, wake: wake, watches: map[int32][]chan<- struct{}{}, users: map[chan<- struct{}][]int32{}}
}

// watch adds a watch of path for c and reports whether it could. Paths that lead to
// the same file share a watch.
func (n *notifier) watch(path string, mask uint32, c chan<- struct{}) bool {
	added, err := unix.InotifyAddWatch(n.fd, path, mask)
	if err != nil {
		return false
	}
	wd := int32(added)
	n.watches[wd] = append(n.watches[wd], c)
	n.users[c] = append(n.users[c], wd)
	return true
}

// leave removes c and its watches. The last one to leave ends run.
func (n *notifier) leave(c chan<- struct{}) {
	for _, wd := range n.users[c] {
		n.watches[wd] = slices.DeleteFunc(n.watches[wd], func(o chan<- struct{}) bool { return o == c })
		if len(n.watches[wd]) == 0 {
			delete(n.watches, wd)
			unix.InotifyRmWatch(n.fd, uint32(wd)) // fails if the file is no more
		}
	}
	delete(n.users, c)
	if len(n.users) == 0 {
		theNotifier = nil
		unix.Write(n.wake, binary.NativeEndian.AppendUint64(nil, 1))
	}
}

func (n *notifier) run() {
	var events [4096]byte
	for next := time.Now().Add(slowLook); ; {
		wait := []unix.PollFd{{Fd: int32(n.fd), Events: unix.POLLIN}, {Fd: int32(n.wake), Events: unix.POLLIN}}
		unix.Poll(wait, int(max(time.Until(next), 0)/time.Millisecond)+1)
		if wait[1].Revents != 0 {
			break
		}
		size, _ := unix.Read(n.fd, events[:]) // nothing if it is only time to look
		slow := !time.Now().Before(next)
		if slow {
			next = time.Now().Add(slowLook)
		}
		theNotifierMu.Lock()
		n.tell(events[:max(size, 0)], slow)
		theNotifierMu.Unlock()
	}
	// The kernel takes some 10 ms for it, which no Close of a listener should.
	unix.Close(n.fd)
	unix.Close(n.wake)
}

// tell passes on events, see inotify(7). All users are notified if events were lost,
// as when it is time to check.
func (n *notifier) tell(events []byte, all bool) {
	for len(events) >= unix.SizeofInotifyEvent {
		wd, mask := int32(binary.NativeEndian.Uint32(events)), binary.NativeEndian.Uint32(events[4:])
		for _, c := range n.watches[wd] {
			signal(c)
		}
		all = all || mask&unix.IN_Q_OVERFLOW != 0
		size := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(events[12:]))
		events = events[min(size, len(events)):]
	}
	if all {
		for c := range n.users {
			signal(c)
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
