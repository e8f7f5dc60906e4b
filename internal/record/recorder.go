package record

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
	"google.golang.org/grpc/codes"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// A Recorder records the calls of connections.
type Recorder struct {
	w       *Writer
	decoder *Decoder
	secrets bool
	calls   atomic.Int64
}

// NewRecorder returns a recorder that writes to w what d makes of messages. It
// keeps secrets only if told to.
func NewRecorder(w *Writer, d *Decoder, secrets bool) *Recorder {
	return &Recorder{w: w, decoder: d, secrets: secrets}
}

// Watch returns what takes the bytes of connection n: the client's and the
// server's. A Write returns when all that is whole in it has been written.
func (r *Recorder) Watch(n int) (there, back io.WriteCloser) {
	c := &connection{r: r, n: n, streams: map[uint32]*stream{}}
	failed := func(side string) func(error) {
		return func(err error) {
			r.w.Write(Line{Event: Note, Connection: n, Why: fmt.Sprintf("what the %s sends is not HTTP/2 without TLS, or no longer: %v", side, err)})
		}
	}
	return writer{newFrames(true, c.fromClient, failed("client")), c.end},
		writer{newFrames(false, c.fromServer, failed("server")), c.end}
}

type writer struct {
	*frames
	close func()
}

func (w writer) Close() error {
	w.close()
	return nil
}

// A connection is what is known of one. Its handlers run at the same time.
type connection struct {
	r *Recorder
	n int

	mu      sync.Mutex
	streams map[uint32]*stream
	closed  bool
}

// A stream is a call under way.
type stream struct {
	call                int64
	method              string
	requests, responses direction
	headers             bool // the server's were there
	closed              bool // the client has sent all
}

type direction struct {
	messages
	encoding string
	n        int
}

func (c *connection) write(l Line) {
	l.Connection = c.n
	c.r.w.Write(l)
}

// find returns the call of a stream.
func (c *connection) find(id uint32) *stream {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[id]
}

func (c *connection) remove(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.streams, id)
}

func (c *connection) fromClient(frame http2.Frame) {
	id := frame.Header().StreamID
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		s := c.find(id)
		if s == nil {
			s = c.begin(f)
		}
		if f.StreamEnded() {
			c.halfClose(s)
		}
	case *http2.DataFrame:
		s := c.find(id)
		if s == nil {
			return
		}
		c.data(s, Request, &s.requests, f.Data())
		if f.StreamEnded() {
			c.halfClose(s)
		}
	case *http2.RSTStreamFrame:
		c.reset(id, "client", f.ErrCode)
	}
}

func (c *connection) begin(f *http2.MetaHeadersFrame) *stream {
	s := &stream{call: c.r.calls.Add(1), method: strings.TrimPrefix(f.PseudoValue("path"), "/")}
	headers := c.r.headers(f)
	s.requests.encoding = first(f, "grpc-encoding")
	c.mu.Lock()
	c.streams[f.StreamID] = s
	c.mu.Unlock()
	c.write(Line{Event: Call, Call: s.call, Method: s.method, Authority: f.PseudoValue("authority"), Headers: headers})
	return s
}

func (c *connection) halfClose(s *stream) {
	if !s.closed {
		s.closed = true
		c.write(Line{Event: HalfClose, Call: s.call})
	}
}

func (c *connection) fromServer(frame http2.Frame) {
	id := frame.Header().StreamID
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		s := c.find(id)
		switch {
		case s == nil:
		case f.StreamEnded():
			c.remove(id)
			c.write(Line{Event: End, Call: s.call, Method: s.method, Status: statusOf(f), Headers: c.r.headers(f)})
		case !s.headers:
			s.headers, s.responses.encoding = true, first(f, "grpc-encoding")
			c.write(Line{Event: Headers, Call: s.call, Headers: c.r.headers(f)})
		}
	case *http2.DataFrame:
		s := c.find(id)
		if s == nil {
			return
		}
		c.data(s, Response, &s.responses, f.Data())
		if f.StreamEnded() {
			c.remove(id)
			c.write(Line{Event: Reset, Call: s.call, Method: s.method, By: "server", Error: "the stream ended without trailers"})
		}
	case *http2.RSTStreamFrame:
		c.reset(id, "server", f.ErrCode)
	}
}

func (c *connection) data(s *stream, event string, d *direction, p []byte) {
	d.write(p, func(compressed bool, size int, body []byte) {
		d.n++
		l := Line{Event: event, Call: s.call, N: d.n, Size: size}
		if compressed {
			l.Compressed = d.encoding
		}
		c.r.decoder.decode(&l, s.method, event == Request, body, c.r.secrets)
		c.write(l)
	})
}

// reset is the end of a call by one side. NO_ERROR from a server follows trailers,
// after which the call is no longer there.
func (c *connection) reset(id uint32, by string, code http2.ErrCode) {
	if s := c.find(id); s != nil {
		c.remove(id)
		c.write(Line{Event: Reset, Call: s.call, Method: s.method, By: by, Error: code.String()})
	}
}

// end is the end of the connection: the calls under way are cut off. Who has ended
// it can't be known, for a relay ends both sides at once.
func (c *connection) end() {
	c.mu.Lock()
	streams := c.streams
	if c.closed {
		streams = nil
	}
	c.closed = true
	c.mu.Unlock()
	for id, s := range streams {
		c.remove(id)
		c.write(Line{Event: Reset, Call: s.call, Method: s.method, By: "connection", Error: "the connection ended"})
	}
}

// headers are the regular headers, without what every call has.
func (r *Recorder) headers(f *http2.MetaHeadersFrame) map[string][]string {
	out := map[string][]string{}
	for _, h := range f.RegularFields() {
		switch h.Name {
		case "te", "content-type", "grpc-status", "grpc-message":
			continue
		}
		value := h.Value
		switch {
		case !r.secrets && inspect.IsSecret(h.Name):
			value = Hidden
		case strings.HasSuffix(h.Name, "-bin"):
			if b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(value, "=")); err == nil {
				value = base64.StdEncoding.EncodeToString(b)
			}
		}
		out[h.Name] = append(out[h.Name], value)
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func first(f *http2.MetaHeadersFrame, name string) string {
	for _, h := range f.RegularFields() {
		if h.Name == name {
			return h.Value
		}
	}
	return ""
}

func statusOf(f *http2.MetaHeadersFrame) *Status {
	text := first(f, "grpc-status")
	n, err := strconv.Atoi(text)
	if err != nil {
		return &Status{Code: int(codes.Unknown), Name: inspect.CodeName(codes.Unknown), Message: fmt.Sprintf("no grpc-status; HTTP status %s", f.PseudoValue("status"))}
	}
	message := first(f, "grpc-message")
	if plain, err := url.PathUnescape(message); err == nil {
		message = plain
	}
	return &Status{Code: n, Name: inspect.CodeName(codes.Code(n)), Message: message}
}
