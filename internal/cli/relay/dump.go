package relay

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/grpcpipe/grpcpipe/internal/inspect"
)

// A Frame is an HTTP/2 frame as Dump shows it.
type Frame struct {
	Connection int      `json:"connection"`
	Direction  string   `json:"direction"` // > from who was accepted, < to it
	Type       string   `json:"type"`
	Stream     uint32   `json:"stream"`
	Length     uint32   `json:"length"`
	Flags      []string `json:"flags,omitempty"`
	Info       []string `json:"info,omitempty"`
}

func (f Frame) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "#%d %s %s", f.Connection, f.Direction, f.Type)
	if f.Type != notice {
		fmt.Fprintf(&b, " stream %d, %d bytes", f.Stream, f.Length)
	}
	if len(f.Flags) > 0 {
		fmt.Fprintf(&b, " [%s]", strings.Join(f.Flags, " "))
	}
	for i, info := range f.Info {
		if i > 0 || f.Type != notice {
			b.WriteString("\n      ")
		} else {
			b.WriteString(" ")
		}
		b.WriteString(info)
	}
	return b.String()
}

// notice is the Type of what is no frame.
const notice = "NOTE"

// Dump returns a writer that reads what is written to it as one direction of an
// HTTP/2 connection and shows the frames. Close waits until all are shown.
func Dump(connection int, direction string, show func(Frame)) io.WriteCloser {
	r, w := io.Pipe()
	d := &dump{PipeWriter: w, done: make(chan struct{})}
	go func() {
		defer close(d.done)
		err := readFrames(r, connection, direction, show)
		if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			show(Frame{Connection: connection, Direction: direction, Type: notice, Info: []string{"this is not HTTP/2 without TLS, or no longer: " + err.Error()}})
		}
		io.Copy(io.Discard, r) // whoever writes must not wait
	}()
	return d
}

type dump struct {
	*io.PipeWriter
	done chan struct{}
}

func (d *dump) Close() error {
	err := d.PipeWriter.Close()
	<-d.done
	return err
}

// readFrames shows the frames until there are no more, which is io.EOF, or what
// follows is none.
func readFrames(r io.Reader, connection int, direction string, show func(Frame)) error {
	if direction == ">" {
		preface := make([]byte, len(http2.ClientPreface))
		n, err := io.ReadFull(r, preface)
		if !strings.HasPrefix(http2.ClientPreface, string(preface[:n])) {
			return fmt.Errorf("it begins with %q", preface[:n])
		}
		if err != nil {
			return err
		}
		show(Frame{Connection: connection, Direction: direction, Type: notice, Info: []string{"the HTTP/2 preface"}})
	}
	f := http2.NewFramer(io.Discard, r)
	f.SetMaxReadFrameSize(1 << 24)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.MaxHeaderListSize = 1 << 20
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return err
		}
		h := frame.Header()
		out := Frame{Connection: connection, Direction: direction, Type: h.Type.String(), Stream: h.StreamID, Length: h.Length}
		out.Flags, out.Info = describe(frame)
		show(out)
	}
}

// describe says what is in a frame.
func describe(frame http2.Frame) (flags, info []string) {
	flag := func(name string, set bool) {
		if set {
			flags = append(flags, name)
		}
	}
	switch f := frame.(type) {
	case *http2.MetaHeadersFrame:
		flag("END_STREAM", f.StreamEnded())
		for _, h := range f.Fields {
			value := h.Value
			if inspect.IsSecret(h.Name) {
				value = fmt.Sprintf("(%d bytes, not shown)", len(value))
			}
			info = append(info, fmt.Sprintf("%s: %s", h.Name, printable(value)))
		}
	case *http2.DataFrame:
		flag("END_STREAM", f.StreamEnded())
		if b := f.Data(); len(b) >= 5 && b[0] <= 1 {
			info = append(info, fmt.Sprintf("a gRPC message of %d bytes begins here, if it is the stream's first frame", binary.BigEndian.Uint32(b[1:])))
		}
	case *http2.SettingsFrame:
		flag("ACK", f.IsAck())
		f.ForeachSetting(func(s http2.Setting) error {
			info = append(info, fmt.Sprintf("%v = %d", s.ID, s.Val))
			return nil
		})
	case *http2.PingFrame:
		flag("ACK", f.IsAck())
	case *http2.RSTStreamFrame:
		info = append(info, f.ErrCode.String())
	case *http2.GoAwayFrame:
		info = append(info, fmt.Sprintf("%v, last stream %d %s", f.ErrCode, f.LastStreamID, printable(string(f.DebugData()))))
	case *http2.WindowUpdateFrame:
		info = append(info, fmt.Sprintf("%d bytes more", f.Increment))
	}
	return flags, info
}

// printable is a text from a stranger, cut and fit for a terminal.
func printable(s string) string {
	const most = 200
	cut := ""
	if len(s) > most {
		s, cut = s[:most], "..."
	}
	return string(bytes.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '.'
		}
		return r
	}, []byte(s))) + cut
}
