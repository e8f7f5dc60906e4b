package relay

import (
	"io"
	"net"
	"sync"
	"time"
)

// Stdio is a connection over a process's standard input and output, and a
// listener with that connection as its only one.
type Stdio struct {
	In  io.Reader
	Out io.Writer

	closeOnce sync.Once
	closed    chan struct{}
	taken     sync.Once
}

// NewStdio makes the connection.
func NewStdio(in io.Reader, out io.Writer) *Stdio {
	return &Stdio{In: in, Out: out, closed: make(chan struct{})}
}

// Read reads standard input. A read can't be taken back: the end of the
// connection leaves it behind.
func (s *Stdio) Read(p []byte) (int, error) {
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	buf := make([]byte, len(p))
	go func() {
		n, err := s.In.Read(buf)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, buf[:r.n]), r.err
	case <-s.closed:
		return 0, net.ErrClosed
	}
}

func (s *Stdio) Write(p []byte) (int, error) {
	select {
	case <-s.closed:
		return 0, net.ErrClosed
	default:
		return s.Out.Write(p)
	}
}

// CloseWrite closes standard output, so that who reads it learns of the end.
func (s *Stdio) CloseWrite() error {
	if c, ok := s.Out.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

// Close ends the connection and the listener.
func (s *Stdio) Close() error {
	s.closeOnce.Do(func() { close(s.closed) })
	return nil
}

type stdioAddr struct{}

func (stdioAddr) Network() string { return "stdio" }
func (stdioAddr) String() string  { return "standard input and output" }

func (s *Stdio) LocalAddr() net.Addr              { return stdioAddr{} }
func (s *Stdio) RemoteAddr() net.Addr             { return stdioAddr{} }
func (s *Stdio) SetDeadline(time.Time) error      { return nil }
func (s *Stdio) SetReadDeadline(time.Time) error  { return nil }
func (s *Stdio) SetWriteDeadline(time.Time) error { return nil }

// Listener returns the listener; its Close leaves the connection open.
func (s *Stdio) Listener() net.Listener { return &stdioListener{s: s, closed: make(chan struct{})} }

type stdioListener struct {
	s      *Stdio
	once   sync.Once
	closed chan struct{}
}

func (l *stdioListener) Accept() (c net.Conn, err error) {
	l.s.taken.Do(func() { c = l.s })
	if c != nil {
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *stdioListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *stdioListener) Addr() net.Addr { return stdioAddr{} }
