package namedpipe_test

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/grpcpipe/grpcpipe/namedpipe"
)

// TestImpersonateNobody: a Peer without a connection has no token to act with.
func TestImpersonateNobody(t *testing.T) {
	name := freshName(t)
	l := listen(t, name, namedpipe.ListenConfig{})
	var seen *namedpipe.Peer
	d := namedpipe.Dialer{Server: namedpipe.Trust{Check: func(p *namedpipe.Peer) error { seen = p; return nil }}}
	c, err := d.Dial(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if s, err := l.Accept(); err == nil {
		defer s.Close()
	}
	if err := seen.Impersonate(func() error { return nil }); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("Impersonate: %v", err)
	}
}

// impersonate runs f as the client of c.
func impersonate(c *namedpipe.Conn, f func() error) error {
	p, err := c.Peer()
	if err != nil {
		return err
	}
	return p.Impersonate(f)
}
