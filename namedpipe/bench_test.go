package namedpipe_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// benchKinds are the pipe and what a program would use in its place. Off Windows a
// pipe is a Unix socket, and should cost no more than one.
func benchKinds() []string {
	if runtime.GOOS == "windows" {
		return []string{"pipe", "tcp"}
	}
	return []string{"pipe", "unix", "tcp"}
}

// ends are the connections that the benchmarks compare: a pipe, and what a
// program without this package would use.
func ends(b *testing.B, kind string) (server, client net.Conn) {
	b.Helper()
	if kind == "pipe" {
		s, c := pair(b)
		return s, c
	}
	addr := "127.0.0.1:0"
	if kind == "unix" {
		dir, err := os.MkdirTemp("/tmp", "np") // b.TempDir may be too long for a socket
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { os.RemoveAll(dir) })
		addr = filepath.Join(dir, "s")
	}
	l, err := net.Listen(kind, addr)
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial(kind, l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { client.Close(); server.Close() })
	return server, client
}

func BenchmarkPingPong(b *testing.B) {
	for _, kind := range benchKinds() {
		for _, size := range []int{64, 4 << 10, 64 << 10} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				s, c := ends(b, kind)
				go io.Copy(struct{ io.Writer }{s}, struct{ io.Reader }{s})
				buf := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Write(buf); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(c, buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkOneWay(b *testing.B) {
	for _, kind := range benchKinds() {
		for _, size := range []int{4 << 10, 64 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%s/%d", kind, size), func(b *testing.B) {
				s, c := ends(b, kind)
				go io.Copy(io.Discard, struct{ io.Reader }{s})
				buf := make([]byte, size)
				b.SetBytes(int64(size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := c.Write(buf); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

func BenchmarkDial(b *testing.B) {
	l := listen(b, freshName(b), namedpipe.ListenConfig{})
	go func() {
		for {
			s, err := l.Accept()
			if err != nil {
				return
			}
			s.Close()
		}
	}()
	b.ReportAllocs()
	for b.Loop() {
		c, err := namedpipe.Dial(b.Context(), l.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
