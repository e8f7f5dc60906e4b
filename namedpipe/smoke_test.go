package namedpipe_test

import (
	"context"
	"io"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

func TestSmoke(t *testing.T) {
	ctx := context.Background()
	l, err := namedpipe.Listen(ctx, "smoke")
	if err != nil {
		t.Fatal(err)
	}
	c, err := namedpipe.Dial(ctx, "smoke")
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	s.Write([]byte("hi"))
	s.Close()
	b, err := io.ReadAll(c)
	t.Logf("%q %v %+v", b, err, l.Stats())
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = namedpipe.Dial(ctx, "smoke")
	t.Log(err)
	_, err = l.Accept()
	t.Log(err)
}
