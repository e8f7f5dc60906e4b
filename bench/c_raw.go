package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func init() {
	register(&contender{
		name: transportName, about: "package namedpipe alone, without gRPC", network: "pipe",
		serve: serveRaw,
		dial: func(addr string) (session, error) {
			c, err := namedpipe.Dial(context.Background(), addr)
			return newRaw(c, err)
		},
	})
}

// The raw contenders send frames with a 9-byte head: an operation, a size and a
// count. They are the limit: one write and one read per call, and no encoding.
const (
	rawHead = 9
	rawEcho = 0
	rawSend = 1 // count frames of size bytes follow, answered by one head
	rawGive = 2 // asks for count frames of size bytes
)

type rawSession struct {
	mu   sync.Mutex
	conn io.ReadWriteCloser
	buf  []byte
}

func newRaw(c io.ReadWriteCloser, err error) (session, error) {
	if err != nil {
		return nil, err
	}
	return &rawSession{conn: c}, nil
}

func (*rawSession) single() {}

func (s *rawSession) Close() error { return s.conn.Close() }

func (s *rawSession) frame(kind byte, size, count int) []byte {
	if n := rawHead + size; cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	b := s.buf[:rawHead+size]
	b[0] = kind
	binary.LittleEndian.PutUint32(b[1:], uint32(size))
	binary.LittleEndian.PutUint32(b[5:], uint32(count))
	return b
}

func (s *rawSession) echo(_ context.Context, p []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.frame(rawEcho, len(p), 1)
	copy(b[rawHead:], p)
	if _, err := s.conn.Write(b); err != nil {
		return err
	}
	_, err := io.ReadFull(s.conn, b)
	return err
}

func (s *rawSession) send(_ context.Context, p []byte, count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.conn.Write(s.frame(rawSend, 0, count)[:rawHead]); err != nil {
		return err
	}
	// The server learns the size from the first frame; frames have no head of
	// their own, so that a write is as long as the line says.
	var size [4]byte
	binary.LittleEndian.PutUint32(size[:], uint32(len(p)))
	if _, err := s.conn.Write(size[:]); err != nil {
		return err
	}
	for range count {
		if _, err := s.conn.Write(p); err != nil {
			return err
		}
	}
	_, err := io.ReadFull(s.conn, s.buf[:rawHead])
	return err
}

func (s *rawSession) receive(_ context.Context, size, count int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.conn.Write(s.frame(rawGive, 0, count)[:rawHead]); err != nil {
		return err
	}
	var b [4]byte
	binary.LittleEndian.PutUint32(b[:], uint32(size))
	if _, err := s.conn.Write(b[:]); err != nil {
		return err
	}
	buf := s.frame(rawGive, max(size, 64<<10), 0)
	for left := size * count; left > 0; {
		n, err := s.conn.Read(buf[:min(len(buf), left)])
		if err != nil {
			return err
		}
		left -= n
	}
	return nil
}

func serveRaw(lis net.Listener) error {
	for {
		c, err := lis.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			answerRaw(c)
		}()
	}
}

func answerRaw(c io.ReadWriter) error {
	head := make([]byte, rawHead)
	buf := make([]byte, 128)
	for {
		// An echo of a short message is one read, as it was one write.
		n, err := io.ReadAtLeast(c, buf, rawHead)
		if err != nil {
			return err
		}
		copy(head, buf)
		size, count := int(binary.LittleEndian.Uint32(head[1:])), int(binary.LittleEndian.Uint32(head[5:]))
		switch head[0] {
		case rawEcho:
			if len(buf) < rawHead+size {
				buf = append(make([]byte, 0, rawHead+size), buf[:n]...)[:rawHead+size]
			}
			if n < rawHead+size {
				if _, err := io.ReadFull(c, buf[n:rawHead+size]); err != nil {
					return err
				}
			}
			_, err = c.Write(buf[:rawHead+size])
		case rawSend, rawGive:
			buf, err = bulkRaw(c, head, buf, n, count)
		default:
			err = fmt.Errorf("unknown frame %d", head[0])
		}
		if err != nil {
			return err
		}
	}
}

// bulkRaw moves count messages, the first n bytes of buf having been read.
func bulkRaw(c io.ReadWriter, head, buf []byte, n, count int) ([]byte, error) {
	for n < rawHead+4 {
		m, err := c.Read(buf[n : rawHead+4])
		if err != nil {
			return buf, err
		}
		n += m
	}
	size := int(binary.LittleEndian.Uint32(buf[rawHead:]))
	early := n - rawHead - 4
	if want := max(size, 64<<10); len(buf) < want {
		buf = make([]byte, want)
	}
	if head[0] == rawGive {
		for range count {
			if _, err := c.Write(buf[:size]); err != nil {
				return buf, err
			}
		}
		return buf, nil
	}
	for left := size*count - early; left > 0; {
		m, err := c.Read(buf[:min(left, len(buf))])
		if err != nil {
			return buf, err
		}
		left -= m
	}
	_, err := c.Write(head)
	return buf, err
}

func sameSize(want, got []byte) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d bytes came back of %d", len(got), len(want))
	}
	return nil
}

func sameCount(got, want int, err error) error {
	if err == nil && got != want {
		return fmt.Errorf("%d messages arrived of %d", got, want)
	}
	return err
}
