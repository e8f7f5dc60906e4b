package h2

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A recorder is the layer above a connection in tests.
type recorder struct {
	mu     sync.Mutex
	closed []error
	goAway []*GoAwayError
	ready  int

	at     StartAt
	max    int                                  // largest message; 0 for 4 MiB
	fields func(*Stream, []Field)               // looks at request heads
	serve  func(st *Stream)                     // runs in a goroutine of its own
	start  func(st *Stream) (reader, done bool) // runs on the reader
}

func (h *recorder) NewStream() *Stream { return new(Stream) }

func (h *recorder) Head(st *Stream, fields []Field, over bool) StartAt {
	st.MaxMessage = h.max
	if h.max == 0 {
		st.MaxMessage = 4 << 20
	}
	if h.fields != nil {
		h.fields(st, fields)
	}
	return h.at
}

func (h *recorder) Start(st *Stream) bool {
	if h.start != nil {
		if reader, done := h.start(st); done {
			return reader
		}
	}
	go func() {
		h.serve(st)
		st.Release(NoError)
	}()
	return true
}

func (h *recorder) Ready(*Conn) { h.mu.Lock(); h.ready++; h.mu.Unlock() }
func (h *recorder) GoAway(_ *Conn, e *GoAwayError) {
	h.mu.Lock()
	h.goAway = append(h.goAway, e)
	h.mu.Unlock()
}
func (h *recorder) Closed(_ *Conn, err error) {
	h.mu.Lock()
	h.closed = append(h.closed, err)
	h.mu.Unlock()
}

func (h *recorder) ended() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.closed) == 0 {
		return nil
	}
	return h.closed[0]
}

// A peer is the other end of a connection, frame by frame.
type peer struct {
	t      *testing.T
	conn   net.Conn
	fr     *http2.Framer
	henc   *hpack.Encoder
	hbuf   bytes.Buffer
	hdec   *hpack.Decoder
	mu     sync.Mutex
	frames []string // what has come, in short
	data   map[uint32][]byte
	credit map[uint32]int // by WINDOW_UPDATE
	eof    bool
}

// newConn returns a connection and its peer. It must be in a synctest bubble.
func newConn(t *testing.T, h Handler, server bool, lim Limits, prepare ...func(*Conn)) (*Conn, *peer) {
	t.Helper()
	a, b := net.Pipe()
	c := NewConn(NewCarrier(a), h, server, lim, NewSentinel())
	for _, f := range prepare {
		f(c)
	}
	p := &peer{t: t, conn: b, fr: http2.NewFramer(b, b), hdec: hpack.NewDecoder(tableSize, nil), data: map[uint32][]byte{}, credit: map[uint32]int{}}
	p.henc = hpack.NewEncoder(&p.hbuf)
	t.Cleanup(func() {
		c.Close()
		b.Close()
		time.Sleep(2 * restTicks * tickEvery) // until the sentinel has gone to rest
	})
	if server {
		go c.Serve()
	} else {
		c.Start()
	}
	go p.read(!server)
	if server {
		p.write(func() error { _, err := io.WriteString(b, Preface); return err })
	}
	p.write(func() error { return p.fr.WriteSettings() })
	synctest.Wait()
	return c, p
}

func (p *peer) write(f func() error) {
	p.t.Helper()
	if err := f(); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		p.t.Fatal(err)
	}
}

// bytes writes what is no frame, perhaps.
func (p *peer) bytes(s string) {
	p.conn.SetWriteDeadline(time.Now().Add(time.Second))
	io.WriteString(p.conn, s)
}

func (p *peer) read(preface bool) {
	if preface {
		b := make([]byte, len(Preface))
		io.ReadFull(p.conn, b)
	}
	p.fr.ReadMetaHeaders = nil
	for {
		f, err := p.fr.ReadFrame()
		p.mu.Lock()
		if err != nil {
			p.eof = true
			p.mu.Unlock()
			return
		}
		p.note(f)
		p.mu.Unlock()
	}
}

func (p *peer) note(f http2.Frame) {
	id := f.Header().StreamID
	s := f.Header().Type.String()
	switch f := f.(type) {
	case *http2.DataFrame:
		p.data[id] = append(p.data[id], f.Data()...)
		if f.StreamEnded() {
			s += " END"
		}
	case *http2.HeadersFrame:
		fields, err := p.hdec.DecodeFull(f.HeaderBlockFragment())
		if err != nil {
			p.t.Errorf("headers: %v", err)
		}
		for _, hf := range fields {
			s += " " + hf.Name + "=" + hf.Value
		}
		if f.StreamEnded() {
			s += " END"
		}
	case *http2.RSTStreamFrame:
		s += " " + f.ErrCode.String()
	case *http2.GoAwayFrame:
		s += " " + f.ErrCode.String()
	case *http2.WindowUpdateFrame:
		p.credit[id] += int(f.Increment)
	case *http2.PingFrame:
		if f.IsAck() {
			s += " ACK"
		}
	case *http2.SettingsFrame:
		if f.IsAck() {
			s += " ACK"
		}
	}
	p.frames = append(p.frames, s)
}

// got returns what has come since the last call.
func (p *peer) got() []string {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	f := p.frames
	p.frames = nil
	return f
}

// received returns the bytes of a stream's DATA so far.
func (p *peer) received(id uint32) int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.data[id])
}

func (p *peer) creditOf(id uint32) int {
	synctest.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.credit[id]
}

// headers sends a header list.
func (p *peer) headers(id uint32, end bool, fields ...string) {
	p.t.Helper()
	p.write(func() error {
		return p.fr.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: p.block(fields...), EndHeaders: true, EndStream: end})
	})
}

func (p *peer) block(fields ...string) []byte {
	p.hbuf.Reset()
	for i := 0; i < len(fields); i += 2 {
		p.henc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return bytes.Clone(p.hbuf.Bytes())
}

func (p *peer) sendData(id uint32, end bool, b []byte) {
	p.t.Helper()
	p.write(func() error { return p.fr.WriteData(id, end, b) })
}

// message is a message with its prefix.
func message(n int) []byte {
	b := make([]byte, prefixLen+n)
	binary.BigEndian.PutUint32(b[1:], uint32(n))
	for i := range n {
		b[prefixLen+i] = byte(i)
	}
	return b
}

var requestFields = []string{":method", "POST", ":scheme", "http", ":path", "/s/m", ":authority", "localhost", "content-type", "application/grpc"}

// open begins a call of a client.
func open(t *testing.T, c *Conn, w *Write) *Stream {
	t.Helper()
	st := &Stream{MaxMessage: 64 << 20}
	if w.Head == nil {
		w.Head = &Block{Key: "/s/m", Head: func(string) Head { return Head{{":method", "POST"}, {":path", "/s/m"}} }}
	}
	if err := c.Open(context.Background(), st, w); err != nil {
		t.Fatal(err)
	}
	return st
}

// newConnRaw returns a server's connection whose client has said nothing yet.
func newConnRaw(t *testing.T, h Handler, lim Limits) (*Conn, *peer) {
	t.Helper()
	a, b := net.Pipe()
	c := NewConn(NewCarrier(a), h, true, lim, NewSentinel())
	p := &peer{t: t, conn: b, fr: http2.NewFramer(b, b), hdec: hpack.NewDecoder(tableSize, nil), data: map[uint32][]byte{}, credit: map[uint32]int{}}
	t.Cleanup(func() {
		c.Close()
		b.Close()
		time.Sleep(2 * restTicks * tickEvery) // until the sentinel has gone to rest
	})
	go c.Serve()
	go p.read(false)
	return c, p
}
