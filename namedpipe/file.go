package namedpipe

import "os"

// FileListener returns a listener for f, a socket that already listens: one from
// [Listener.File] in another process, or from a program that keeps the socket open
// while servers start and exit. The name is the socket's path, as for Listen. The
// caller keeps f and may close it.
//
// Access is checked for each client, but the socket's file keeps its mode and group,
// and Close does not remove it. On Windows the error matches errors.ErrUnsupported.
func (lc *ListenConfig) FileListener(name string, f *os.File) (*Listener, error) {
	addr, err := resolve(name)
	if err != nil {
		return nil, opError("listen", &Addr{path: name}, err)
	}
	cfg, err := lc.withDefaults()
	if err != nil {
		return nil, opError("listen", addr, err)
	}
	l := newListener(addr, cfg)
	if err := l.adopt(cfg, f); err != nil {
		return nil, opError("listen", addr, err)
	}
	return l, nil
}

// File returns a copy of the listening socket for another process, which uses it with
// [ListenConfig.FileListener]. Clients in the backlog are served by whichever process
// accepts them. The caller must close the file. After the first call, Close no longer
// removes the socket's file, since other processes may serve it; the last of them may
// remove it, and Listen removes one on which no process listens. On Windows the error
// matches errors.ErrUnsupported.
func (l *Listener) File() (*os.File, error) {
	f, err := l.l.share()
	if err != nil {
		return nil, opError("file", l.addr, err)
	}
	return f, nil
}
