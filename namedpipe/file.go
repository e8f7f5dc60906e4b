package namedpipe

import "os"

// FileListener returns a listener for the socket f, which already listens: one
// from [Listener.File] in the process before this one, or from whatever else
// keeps the socket open while servers come and go. The name is the socket's
// path, as for Listen. f stays the caller's and may be closed.
//
// Access is held against each client, but the file keeps the mode and the group
// it has, and Close leaves it. On Windows the error matches
// errors.ErrUnsupported.
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

// File returns a copy of the listening socket for another process, which takes
// it with [ListenConfig.FileListener]. Clients in the backlog are served by
// whichever process accepts them. The caller must close the file. From the first
// call on Close leaves the socket's file in place, since others serve it; the
// last of them may remove it, and Listen removes one that nobody serves. On
// Windows the error matches errors.ErrUnsupported.
func (l *Listener) File() (*os.File, error) {
	f, err := l.l.share()
	if err != nil {
		return nil, opError("file", l.addr, err)
	}
	return f, nil
}
