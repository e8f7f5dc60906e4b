//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// watchInterval is the time between two looks at a path that should be the
// listener's and isn't, and of all looks where the system doesn't tell of
// changes. Two looks in a row must agree, so a stranger is noticed within a
// second.
const watchInterval = 250 * time.Millisecond

// watch ends accept when the path is no longer this listener's: .NET servers,
// among others, remove a live socket and make their own (dotnet/runtime issue
// 131203). The kernel can't give the file's inode to another one while this
// socket is open, so os.SameFile is sure.
//
// Where the system tells of changes there is no timer: an idle process isn't
// woken, and a waiting one takes a tenth less time to be, since its wait in the
// kernel needs no clock.
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

// lost waits until the path is another's, or until close.
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

// look returns how many looks in a row have found the path to be another's.
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
