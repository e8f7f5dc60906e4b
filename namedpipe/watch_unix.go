//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// watchInterval is the time between two checks of a path that is no longer the
// listener's and, where the system doesn't report changes, between all checks. Two
// checks in a row must agree, so a replacement is noticed within a second.
const watchInterval = 250 * time.Millisecond

// watch ends accept when the path is no longer this listener's: .NET servers, among
// others, remove a live socket and make their own (dotnet/runtime issue 131203).
// While this socket is open the kernel gives its inode to no other file, so a
// comparison of identities is reliable.
//
// Where the system reports changes there is no timer of the runtime's: with one
// pending, each wait in the kernel takes a tenth longer to wake up from.
func (l *listener) watch() {
	if !l.lost() {
		close(l.done)
		return
	}
	l.mu.Lock()
	if l.ended == nil {
		l.ended = &problem{
			text:   ErrReplaced.Error() + ": another process has replaced or removed it; find out which and listen again",
			causes: []error{ErrReplaced},
		}
	}
	l.mu.Unlock()
	close(l.done) // before the logger, which is the caller's and may call Close
	l.log.Error("namedpipe: another process has replaced or removed the socket's file", "pipe", l.path)
	l.ln.Close() // unblocks accept
}

// lost waits until the path is no longer this listener's and returns true, or until
// close and returns false.
func (l *listener) lost() bool {
	news, end := changes(l.path)
	defer end()
	for strange := l.look(0); strange < 2; strange = l.look(strange) {
		var again <-chan time.Time
		from := news
		if news == nil || strange > 0 {
			again, from = time.After(watchInterval), nil
		}
		select {
		case <-l.stop:
			return false
		case <-from:
		case <-again:
		}
	}
	return true
}

// look checks the path and returns how many checks in a row have found that it is no
// longer this listener's.
func (l *listener) look(strange int) int {
	file, err := os.Lstat(l.path)
	switch {
	case err == nil && idOf(file) == l.file:
		return 0
	case err == nil || isNowhere(err) || errors.Is(err, syscall.ELOOP):
		return strange + 1
	}
	return strange
}
