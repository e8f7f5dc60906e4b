package h2

import (
	"context"
	"fmt"
	"io"
)

// A TooLargeError is a message that is larger than the stream takes.
type TooLargeError struct{ Size, Limit int }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("received message larger than max (%d vs. %d)", e.Size, e.Limit)
}

// Next returns the next message, without its prefix, and whether it is
// compressed. The bytes are valid until the next call or Release. It waits for
// the message until ctx is done. The error is io.EOF after the last message, if
// the peer has ended the stream in order, io.ErrUnexpectedEOF if it did so within
// a message.
func (st *Stream) Next(ctx context.Context) (data []byte, compressed bool, err error) {
	if len(st.private.buf) == 0 {
		if err := st.refillBatch(ctx); err != nil {
			return nil, false, err
		}
	}
	h := st.private.buf
	n := int(h[1])<<24 | int(h[2])<<16 | int(h[3])<<8 | int(h[4])
	data = h[prefixLen : prefixLen+n : prefixLen+n]
	st.private.buf = h[prefixLen+n:]
	if h[0] > 1 {
		return nil, false, fmt.Errorf("a message begins with %#x, which is neither 0 nor 1", h[0])
	}
	return data, h[0] == 1, nil
}

// refillBatch takes the whole messages that are there, or waits for one.
func (st *Stream) refillBatch(ctx context.Context) error {
	st.private.free()
	if err := st.wait(ctx, wantMessage); err != nil {
		return err
	}
	st.mu.Lock()
	if st.whole() {
		give := st.consumed(st.take(&st.private))
		starving := st.uncount()
		c := st.conn
		st.mu.Unlock()
		c.giveBack(st, give, starving)
		return nil
	}
	defer st.mu.Unlock()
	switch {
	case st.tooLarge:
		return &TooLargeError{Size: st.next, Limit: st.MaxMessage}
	case st.err != nil:
		return st.err
	case st.partial():
		return io.ErrUnexpectedEOF
	}
	return io.EOF
}

// WaitHead waits for a response's header list, or for the end.
func (st *Stream) WaitHead(ctx context.Context) error { return st.wait(ctx, wantHead) }

// WaitEnd waits for the end of the stream, whatever messages come before it.
func (st *Stream) WaitEnd(ctx context.Context) error { return st.wait(ctx, wantEnd) }

// A Received is what has come of a stream so far, but for messages.
type Received struct {
	Head, Trail []Field // valid until Release
	GotHead     bool
	Ended       bool  // by the peer, in order
	Over        bool  // a header list was over the limits, and is not whole
	Err         error // what ended the stream before its time
}

// Received returns what has come of the stream so far.
func (st *Stream) Received() Received {
	st.mu.Lock()
	defer st.mu.Unlock()
	return Received{Head: st.head, Trail: st.trail, GotHead: st.got, Ended: st.ended, Over: st.over, Err: st.err}
}

// Headers returns a response's header list, or nil if it has trailers only.
func (r *Received) Headers() []Field {
	if r.Ended && len(r.Trail) == 0 {
		return nil
	}
	return r.Head
}

// Trailers returns a response's trailers, if it has ended.
func (r *Received) Trailers() []Field {
	if r.Ended && len(r.Trail) == 0 {
		return r.Head
	}
	return r.Trail
}
