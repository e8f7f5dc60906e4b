//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// listener is a listening Unix socket that knows which file it has made.
type listener struct {
	ln   *net.UnixListener
	path string
	file fileID
	rule rule
	log  *slog.Logger
	stat *counters

	refused *refusals
	stop    chan struct{} // closed by close and retire
	done    chan struct{} // closed when watch has ended

	taken  knock        // of the server that has the name
	warned atomic.Int64 // when a failure of accept was last logged, in Unix seconds

	mu      sync.Mutex
	ended   error // why accept fails from now on: net.ErrClosed or ErrReplaced
	closed  bool
	removes bool // close removes the file

	inherits bool      // removes, once begin has been called
	halting  sync.Once // closes stop
}

func (l *Listener) start(cfg ListenConfig) error {
	path := l.addr.path
	rule, err := cfg.Access.rule()
	if err != nil {
		return err
	}
	if f, err := activated(path); f != nil || err != nil {
		if err != nil {
			return err
		}
		defer f.Close()
		return l.adopt(cfg, f)
	}
	if err := clearPath(path, &l.l.taken); err != nil {
		return err
	}
	ln, file, err := bindSocket(path, &rule)
	if err != nil {
		return explainBind(path, err)
	}
	l.run(cfg, &rule, ln, file, true)
	return nil
}

// run makes the listener of a socket that listens.
func (l *Listener) run(cfg ListenConfig, r *rule, ln *net.UnixListener, file fileID, removes bool) {
	l.l = listener{
		ln: ln, path: l.addr.path, file: file, rule: *r, removes: removes, log: cfg.log(), stat: &l.stat, refused: &l.refused,
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.l.watch()
}

// After a failure accept waits for acceptPause, which doubles up to acceptPauseMost.
// Failures are logged at most once in warnSeconds.
const (
	acceptPause     = 5 * time.Millisecond
	acceptPauseMost = 100 * time.Millisecond
	warnSeconds     = 10
)

func (l *listener) accept() (conn, error) {
	for pause := acceptPause; ; pause = min(2*pause, acceptPauseMost) {
		uc, err := l.ln.AcceptUnix()
		if err == nil {
			if c := newConn(uc); l.admits(c) {
				return c, nil
			}
			continue
		}
		if why := l.why(); why != nil {
			return conn{}, why
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return conn{}, err
		}
		if !isShortage(err) {
			return conn{}, explain(bare(err), "the system accepts no connections for this listener", "close it and listen again")
		}
		// The backlog keeps the clients, and an error would end a server that can
		// go on in a moment.
		l.stat.retries.Add(1)
		if now, last := time.Now().Unix(), l.warned.Load(); now-last >= warnSeconds && l.warned.CompareAndSwap(last, now) {
			l.log.Warn("namedpipe: accept failed, trying again", "pipe", l.path, "error", err, "retries", l.stat.retries.Load())
		}
		select {
		case <-time.After(pause):
		case <-l.stop:
		}
	}
}

// isShortage reports whether accept has failed for a temporary reason: too few
// descriptors, too little memory, or too many watches of epoll.
func isShortage(err error) bool {
	return slices.ContainsFunc([]error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ENOSPC, syscall.ECONNABORTED, syscall.EINTR},
		func(shortage error) bool { return errors.Is(err, shortage) })
}

// admits checks the client's credentials against the rule and disconnects a client
// that doesn't pass, before anything is read from it.
func (l *listener) admits(c conn) bool {
	if !canAskPeer || l.rule.anyone && len(l.rule.denyUIDs)+len(l.rule.denyGIDs) == 0 {
		return true
	}
	cred, err := c.ask()
	if err == nil {
		err = l.rule.admits(cred)
	} else {
		cred = &credentials{uid: unknownID}
	}
	if err == nil {
		return true
	}
	l.stat.denied.Add(1)
	l.refused.report("namedpipe: a client was refused", cred.peer(), err)
	c.Close() // last: whoever sees the end finds it counted and logged
	return false
}

// why returns the reason why accept can't go on, or nil.
func (l *listener) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ended
}

func (l *listener) close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return net.ErrClosed
	}
	l.closed = true
	if l.ended == nil {
		l.ended = net.ErrClosed
	}
	removes := l.removes
	l.mu.Unlock()
	l.halt()
	<-l.done
	if removes {
		// The name goes first, so that nobody connects to a socket that is about
		// to close.
		if err := removeSame(l.path, l.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			l.log.Warn("namedpipe: the socket's file could not be removed", "pipe", l.path, "error", err)
		}
	}
	l.ln.Close() // fails only if watch has closed it
	return nil
}

// halt ends watch.
func (l *listener) halt() { l.halting.Do(func() { close(l.stop) }) }

func (l *listener) setDeadline(t time.Time) error {
	if why := l.why(); why != nil {
		return why
	}
	return l.ln.SetDeadline(t)
}

func (l *listener) depth() (waiting, queued int) {
	if l.why() != nil {
		return 0, 0
	}
	return 1, 0
}
