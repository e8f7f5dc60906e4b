package namedpipe

import (
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// peekTimeout bounds how long Peer waits for a client's first byte.
const peekTimeout = 10 * time.Second

// peekedByte holds the client's first byte from Peer to the first Read.
type peekedByte struct {
	full  atomic.Bool
	value [1]byte
}

// fill reads the byte, waiting for at most that long.
func (b *peekedByte) fill(c *Conn, wait time.Duration) error {
	fired := make(chan struct{})
	timer := time.AfterFunc(wait, func() {
		defer close(fired)
		c.conn.SetReadDeadline(time.Unix(1, 0))
	})
	n, err := c.conn.Read(b.value[:])
	if n == 1 {
		b.full.Store(true)
	}
	if !timer.Stop() {
		<-fired // or its deadline would meet a later Read
		c.conn.SetReadDeadline(time.Time{})
		return explain(os.ErrDeadlineExceeded, fmt.Sprintf("the client has sent nothing for %v, so it can't be identified", wait), "")
	}
	if n == 1 {
		return nil
	}
	if err == nil || isPeerGone(err) || err == io.EOF {
		return explain(io.ErrUnexpectedEOF, "the client left before it sent anything", "")
	}
	return bare(err)
}

// take moves the byte into p, if there is one.
func (b *peekedByte) take(p []byte) int {
	if !b.full.Load() || !b.full.CompareAndSwap(true, false) {
		return 0
	}
	p[0] = b.value[0]
	return 1
}
