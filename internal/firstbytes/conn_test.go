package firstbytes

import (
	"errors"
	"net"
	"strings"
	"testing"
	"time"
)

// closedConn is a connection that grpc has closed before its reader ran.
type closedConn struct{ net.Conn }

func (closedConn) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (closedConn) SetDeadline(time.Time) error      { return nil }
func (closedConn) SetWriteDeadline(time.Time) error { return nil }

// A connection that was closed at the end of its time is a silent server's, and
// one that was closed before is not.
func TestClosedAtTheEnd(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		left time.Duration
		want string
	}{{lead, "silent"}, {time.Hour, net.ErrClosed.Error()}} {
		c := &Conn{}
		c.Init(closedConn{}, time.Now().Add(tt.left), func(*Fault, time.Duration) error { return errors.New("silent") }, nil)
		if _, err := c.Read(make([]byte, 1)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v before the end: %v, want %s", tt.left, err, tt.want)
		}
	}
}
