package fastgrpc_test

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/grpcpipe/grpcpipe/fastgrpc"
	"github.com/grpcpipe/grpcpipe/internal/testing/interoptest"
)

// A handedListener accepts the connections that are sent to it.
type handedListener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (l *handedListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *handedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *handedListener) Addr() net.Addr { return &net.UnixAddr{} }

// toldConn says when it is closed.
type toldConn struct {
	net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *toldConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

// conversations are what a fuzz of a server begins with.
func conversations() [][]byte {
	var all [][]byte
	add := func(do func(fr *http2.Framer, head func(path string) []byte)) {
		var b, block bytes.Buffer
		enc := hpack.NewEncoder(&block)
		do(http2.NewFramer(&b, nil), func(path string) []byte {
			block.Reset()
			for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", path}, {":authority", "x"}, {"te", "trailers"},
				{"content-type", "application/grpc"}, {"grpc-timeout", "1S"}, {"x-bin", "AQI"}} {
				enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
			}
			return bytes.Clone(block.Bytes())
		})
		all = append(all, b.Bytes())
	}
	add(func(fr *http2.Framer, head func(string) []byte) {
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: head(emptyCall), EndHeaders: true})
		fr.WriteData(1, true, make([]byte, 5))
		fr.WritePing(false, [8]byte{1})
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, BlockFragment: head(duplexCall), EndHeaders: true})
		fr.WriteDataPadded(3, false, make([]byte, 5), make([]byte, 3))
		fr.WriteWindowUpdate(3, 1)
		fr.WriteWindowUpdate(0, 1)
		fr.WriteRSTStream(3, http2.ErrCodeCancel)
	})
	add(func(fr *http2.Framer, head func(string) []byte) {
		fr.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: 0}, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
		block := head(duplexCall)
		fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:9]})
		fr.WriteContinuation(1, true, block[9:])
		fr.WriteData(1, false, []byte{0, 0, 0, 0, 2, 0x12})
		fr.WriteData(1, true, []byte{0})
		fr.WriteSettingsAck()
		fr.WriteGoAway(0, http2.ErrCodeNo, nil)
	})
	return all
}

// FuzzServer talks to a server: it must neither crash nor keep the connection once
// the client has gone.
func FuzzServer(f *testing.F) {
	s := fastgrpc.NewServer(fastgrpc.ServerConfig{Credentials: insecure.NewCredentials()})
	interoptest.Register(s)
	lis := &handedListener{conns: make(chan net.Conn), closed: make(chan struct{})}
	go s.Serve(lis) // until Stop
	f.Cleanup(s.Stop)
	for _, c := range conversations() {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		client, server := net.Pipe()
		told := &toldConn{Conn: server, closed: make(chan struct{})}
		lis.conns <- told
		go io.Copy(io.Discard, client) // until it is closed
		client.SetWriteDeadline(time.Now().Add(10 * time.Second))
		io.WriteString(client, http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
		client.Write(b) // fails where the server has cut it
		client.Close()
		select {
		case <-told.closed:
		case <-time.After(20 * time.Second):
			t.Fatal("the server keeps a connection whose client has gone")
		}
	})
}
