//go:build unix

package h2

import (
	"io"
	"net"
	"syscall"
	"time"

	"github.com/grpcpipe/grpcpipe/internal/bufpool"
	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// newRawCarrier returns a carrier for connections that are a socket, else nil.
func newRawCarrier(c net.Conn) Carrier {
	var sc syscall.Conn
	switch c := c.(type) {
	case *net.UnixConn:
		sc = c
	case *net.TCPConn:
		sc = c
	case *namedpipe.Conn:
		sc = c
	default:
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	r := &rawCarrier{plainCarrier: plainCarrier{c}, raw: raw}
	r.readable, r.writable = r.readNow, r.writeNow
	return r
}

// A rawCarrier reads and writes a socket's descriptor under the runtime's poller:
// it can see whether a write would wait, and needs no buffer until there is
// something to read.
type rawCarrier struct {
	plainCarrier
	raw syscall.RawConn

	readable, writable func(fd uintptr) bool

	// The read under way: of size bytes into a new buffer, or into into and more.
	size int
	into []byte
	more []byte
	buf  *[]byte
	n    int
	rerr error

	_ [64]byte // the writer's line of the cache begins here

	pieces [][]byte
	wrote  int
	werr   error
}

func (r *rawCarrier) readNow(fd uintptr) bool {
	p := r.into
	if p == nil {
		r.buf = bufpool.Shared.Get(r.size)
		p = *r.buf
	}
	for {
		r.n, r.rerr = readPieces(int(fd), p, r.more)
		if r.rerr != syscall.EINTR {
			break
		}
	}
	if r.rerr == nil && r.n > 0 {
		return true
	}
	if r.buf != nil {
		bufpool.Shared.Put(r.buf)
		r.buf = nil
	}
	return r.rerr != syscall.EAGAIN
}

func (r *rawCarrier) Read(size int) (*[]byte, int, error) {
	r.size, r.into = size, nil
	n, err := r.read()
	buf := r.buf
	r.buf = nil
	return buf, n, err
}

func (r *rawCarrier) ReadInto(p, more []byte) (int, error) {
	r.into, r.more = p, more
	n, err := r.read()
	r.into, r.more = nil, nil
	return n, err
}

func (r *rawCarrier) read() (int, error) {
	r.n, r.rerr = 0, nil
	err := r.raw.Read(r.readable)
	switch {
	case r.n > 0 && r.rerr == nil:
		return r.n, nil
	case err != nil:
		return 0, err
	case r.rerr == syscall.ECONNRESET: // the peer has closed with data unread
		return 0, io.EOF
	case r.rerr != nil:
		return 0, &net.OpError{Op: "read", Net: "pipe", Addr: r.c.RemoteAddr(), Err: r.rerr}
	}
	return 0, io.EOF
}

func (r *rawCarrier) Tries() bool { return true }

// writeNow makes one attempt.
func (r *rawCarrier) writeNow(fd uintptr) bool {
	r.wrote, r.werr = writePieces(int(fd), r.pieces)
	return true
}

func (r *rawCarrier) TryWrite(pieces [][]byte) (int, error) {
	r.pieces, r.wrote, r.werr = pieces, 0, nil
	err := r.raw.Write(r.writable)
	r.pieces = nil
	switch {
	case err != nil:
		return 0, err
	case r.werr == nil || r.werr == syscall.EAGAIN:
		return r.wrote, nil
	}
	return 0, &net.OpError{Op: "write", Net: "pipe", Addr: r.c.RemoteAddr(), Err: r.werr}
}

// Write goes on where TryWrite has found no more room.
func (r *rawCarrier) Write(pieces [][]byte, stall time.Duration) error {
	for len(pieces) > 0 {
		if err := r.c.SetWriteDeadline(time.Now().Add(stall)); err != nil {
			return err
		}
		n, werr := 0, error(nil)
		err := r.raw.Write(func(fd uintptr) bool {
			n, werr = writePieces(int(fd), pieces)
			return werr != syscall.EAGAIN
		})
		if err == nil && werr != nil {
			err = &net.OpError{Op: "write", Net: "pipe", Addr: r.c.RemoteAddr(), Err: werr}
		}
		if err != nil {
			return err
		}
		pieces = skip(pieces, n)
	}
	return r.c.SetWriteDeadline(time.Time{})
}
