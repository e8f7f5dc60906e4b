//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package namedpipe

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// listener is a listening Unix socket that knows which file it has made.
type listener struct {
	ln   *net.UnixListener
	path string
	file fs.FileInfo // of the socket's file when it was made
	rule rule
	log  *slog.Logger
	stat *counters
	stop chan struct{} // closed by close
	done chan struct{} // closed when watch has ended

	mu     sync.Mutex
	ended  error // why accept fails from now on: net.ErrClosed or ErrReplaced
	closed bool
}

func (l *Listener) start(cfg ListenConfig) error {
	path := l.addr.path
	rule, err := cfg.Access.rule()
	if err != nil {
		return err
	}
	if err := clearPath(path); err != nil {
		return err
	}
	ln, err := bindSocket(path, &rule)
	if err != nil {
		return explainBind(path, err)
	}
	file, err := os.Lstat(path)
	if err != nil {
		ln.Close()
		return explain(err, "the socket's file vanished while it was made", "try again")
	}
	l.l = listener{
		ln: ln, path: path, file: file, rule: rule, log: cfg.log(), stat: &l.stat,
		stop: make(chan struct{}), done: make(chan struct{}),
	}
	go l.l.watch()
	return nil
}

func (l *listener) accept() (conn, error) {
	for {
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
		// Out of files or memory: the backlog keeps the clients meanwhile, and
		// an error here would end a server that could go on in a moment.
		l.stat.retries.Add(1)
		l.log.Warn("namedpipe: accept failed, trying again", "pipe", l.path, "error", err)
		select {
		case <-time.After(5 * time.Millisecond):
		case <-l.stop:
		}
	}
}

// admits holds the client's credentials against the rule. A client that is not
// let in is disconnected here, before anything of it is read.
func (l *listener) admits(c conn) bool {
	if !canAskPeer || l.rule.anyone && len(l.rule.denyUIDs)+len(l.rule.denyGIDs) == 0 {
		return true
	}
	cred, err := c.ask()
	if err == nil {
		err = l.rule.admits(cred.uid, cred.groups)
	}
	if err == nil {
		return true
	}
	c.Close()
	l.stat.denied.Add(1)
	l.log.Warn("namedpipe: a client was refused", "pipe", l.path, "uid", cred.uid, "process", cred.pid, "error", err)
	return false
}

// why returns the reason for which accept can't go on, or nil.
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
	l.mu.Unlock()
	close(l.stop)
	<-l.done
	// The name goes first, so that nobody connects to a socket that is about
	// to close.
	if err := removeSame(l.path, l.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.log.Warn("namedpipe: the socket's file could not be removed", "pipe", l.path, "error", err)
	}
	l.ln.Close() // fails only if watch has closed it
	return nil
}

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

// bindSocket makes the socket at path, listening and of the rule's mode and
// group from the first moment that anybody can see it there. A socket that is bound but does
// not listen yet can't be told from a dead one, so it is made under another
// name first. And it gets its path by a link, since a link, unlike a rename,
// fails if another server has taken the path meanwhile.
func bindSocket(path string, r *rule) (*net.UnixListener, error) {
	make := bindByMode
	if bindsPrivately {
		make = bindInFolder
	}
	ln, inside, err := make(path)
	if err != nil {
		return nil, err
	}
	ln.SetUnlinkOnClose(false) // close removes only a file that is still ours
	if err = r.apply(inside); err == nil {
		err = os.Link(inside, path)
	}
	os.Remove(inside)
	if bindsPrivately {
		os.Remove(filepath.Dir(inside))
	}
	if err != nil {
		ln.Close()
		return nil, err
	}
	return ln, nil
}

// bindByMode makes the socket in path's own folder. Linux gives the file of a
// bound socket the mode of the socket itself; so the umask, which belongs to
// the whole process, stays as it is.
func bindByMode(path string) (_ *net.UnixListener, inside string, _ error) {
	// The name is what the system's tools show for the socket.
	inside = filepath.Join(parent(path), ".np"+strconv.FormatUint(uint64(rand.Uint32()), 36)+"-"+filepath.Base(path))
	if over := len(inside) - maxSocketPath(); over > 0 {
		inside = inside[:len(inside)-over]
		if filepath.Dir(inside) != parent(path) {
			return nil, "", syscall.ENAMETOOLONG
		}
	}
	ln, err := listenUnix(inside, func(fd int) error { return syscall.Fchmod(fd, 0o600) })
	return ln, inside, err
}

// bindInFolder makes the socket in a folder that only this user can enter and
// sets its mode there: systems other than Linux take it from the umask alone.
func bindInFolder(path string) (_ *net.UnixListener, inside string, err error) {
	dir, err := os.MkdirTemp(parent(path), ".np")
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			os.RemoveAll(dir)
		}
	}()
	inside = dir + "/s"
	if len(inside) > maxSocketPath() {
		return nil, "", syscall.ENAMETOOLONG
	}
	ln, err := listenUnix(inside, nil)
	if err != nil {
		return nil, "", err
	}
	if err = os.Chmod(inside, 0o600); err != nil {
		ln.Close()
		return nil, "", err
	}
	return ln, inside, nil
}

func listenUnix(path string, control func(fd int) error) (*net.UnixListener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		if control == nil {
			return nil
		}
		var err error
		if cerr := rc.Control(func(fd uintptr) { err = control(int(fd)) }); cerr != nil {
			return cerr
		}
		return err
	}}
	ln, err := lc.Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, err
	}
	return ln.(*net.UnixListener), nil
}
