package interop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	testpb "google.golang.org/grpc/interop/grpc_testing"

	"github.com/grpcpipe/grpcpipe/internal/testing/engine"
	"github.com/grpcpipe/grpcpipe/internal/testing/seen"
	"github.com/grpcpipe/grpcpipe/internal/testing/soak"
	"github.com/grpcpipe/grpcpipe/internal/testing/testproc"
)

// A client of nothing but HTTP/2 frames pings every second, for two minutes, on
// a connection without a call. .NET's own client can't show that much: it closes
// an idle connection after a minute and pings every other second. Each ping is
// answered before the next, and in the end the connection still takes a call.
func TestSoakPingEverySecond(t *testing.T) {
	t.Parallel()
	engine.Each(t, func(t *testing.T, e engine.Engine) {
		mark := seen.RowOf(t, "keepalive-raw", e.Name)
		t.Parallel()
		pipe := testproc.PipeName()
		newServer(t, t.Context(), e, pipe)
		c := newFrameClient(t, dial(t, pipe))
		pings := soak.N(120)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for i := range pings {
			if err := c.ping(byte(i)); err != nil {
				t.Fatalf("ping %d: %v", i+1, err)
			}
			<-tick.C
		}
		if err := c.emptyCall(); err != nil {
			t.Errorf("the call after the pings: %v", err)
		}
		mark.Say("%d pings in %d s, and a call", pings, pings)
	})
}

// grpc-go's own limit cuts such a client off. If it didn't, the test above, and
// those with .NET's client, would show nothing.
func TestPingEverySecondWithoutServerOptions(t *testing.T) {
	t.Parallel()
	pipe := testproc.PipeName()
	s := grpc.NewServer()
	t.Cleanup(s.Stop)
	serve(t, s, pipe)
	c := newFrameClient(t, dial(t, pipe))
	for i := range 10 {
		err := c.ping(byte(i))
		if errors.Is(err, errGoAway) {
			return
		}
		if err != nil {
			t.Fatalf("ping %d: %v, want GOAWAY", i+1, err)
		}
	}
	t.Error("10 pings at once passed a server without ServerOptions")
}

// errGoAway is the server's wish to end the connection.
var errGoAway = errors.New("GOAWAY")

// A frameClient speaks HTTP/2 frame by frame, for one user.
type frameClient struct {
	conn   net.Conn
	framer *http2.Framer
}

// newFrameClient opens HTTP/2 on the connection.
func newFrameClient(t *testing.T, conn net.Conn) *frameClient {
	t.Helper()
	c := &frameClient{conn: conn, framer: http2.NewFramer(conn, conn)}
	_, err := io.WriteString(conn, http2.ClientPreface)
	if err == nil {
		err = c.framer.WriteSettings()
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// next is the server's next frame that isn't about settings or windows.
func (c *frameClient) next() (http2.Frame, error) {
	if err := c.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return nil, err
	}
	for {
		f, err := c.framer.ReadFrame()
		if err != nil {
			return nil, err
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.framer.WriteSettingsAck()
			}
		case *http2.WindowUpdateFrame:
		case *http2.GoAwayFrame:
			return nil, fmt.Errorf("%w: %v %s", errGoAway, f.ErrCode, f.DebugData())
		default:
			return f, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// ping sends a ping and waits for the answer to it.
func (c *frameClient) ping(n byte) error {
	data := [8]byte{7: n}
	writeErr := c.framer.WritePing(false, data)
	f, err := c.next() // after a failed write too: GOAWAY says why
	if err != nil {
		return errors.Join(err, writeErr)
	}
	if p, ok := f.(*http2.PingFrame); !ok || !p.IsAck() || p.Data != data {
		return fmt.Errorf("got %v, want the answer to the ping", f)
	}
	return nil
}

// stay does what the server asks for until the server closes the connection.
func (c *frameClient) stay() {
	for {
		f, err := c.framer.ReadFrame()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = c.framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = c.framer.WritePing(true, f.Data)
			}
		}
		if err != nil {
			return
		}
	}
}

// emptyCall makes the smallest call there is.
func (c *frameClient) emptyCall() error {
	var head bytes.Buffer
	enc := hpack.NewEncoder(&head)
	for _, f := range [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", testpb.TestService_EmptyCall_FullMethodName},
		{":authority", "localhost"}, {"content-type", "application/grpc"}, {"te", "trailers"},
	} {
		if err := enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	err := c.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head.Bytes(), EndHeaders: true})
	if err == nil {
		err = c.framer.WriteData(1, true, make([]byte, 5)) // a message of 0 bytes
	}
	if err != nil {
		return err
	}
	c.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	for {
		f, err := c.next()
		if err != nil {
			return err
		}
		if h, ok := f.(*http2.MetaHeadersFrame); ok && h.StreamEnded() {
			for _, field := range h.RegularFields() {
				if field.Name == "grpc-status" && field.Value == "0" {
					return nil
				}
			}
			return fmt.Errorf("the call ended with %v", h.Fields)
		}
	}
}
